//! Every value that an experiment measured as a Parquet table, a row a document, metric and model: for whoever wants to
//! aggregate them otherwise. Aggregates nothing itself.

use harness_bench::experiment::{DocumentScores, ExperimentRecord, Outcome, Scores, Subject};
use parquet::errors::Result;
use serde_json::{Value, json};

use crate::parquet_table::{Column, Values, parquet_table};

/// One value with all that it is about.
struct Entry<'a> {
    subject: &'a Subject,
    set: String,
    task: &'a str,
    metric: &'a str,
    document: usize,
    chance: Option<f64>,
    value: f64,
}

/// The file's contents: columns `row`, `kind`, `seed`, `set` (`forget`, `paraphrased`, `holdout`, `retain`, `utility`, `rounded_4` …), `task`,
/// `metric`, `document`, `chance` (of utility tasks) and `value`.
///
/// # Errors
/// Where the Parquet writer refuses them.
pub fn experiment_parquet(record: &ExperimentRecord) -> Result<Vec<u8>> {
    let mut entries = Vec::new();
    for subject in &record.subjects {
        if let Outcome::Measured(scores) = &subject.outcome {
            add_scores(subject, scores, &mut entries);
        }
    }
    let text = |of: &dyn Fn(&Entry<'_>) -> String| {
        Values::Texts(entries.iter().map(|entry| Some(of(entry))).collect())
    };
    let seeds = entries
        .iter()
        .map(|entry| entry.subject.seed.map(|seed| seed as f64));
    let columns = [
        ("row", text(&|entry| entry.subject.row.clone())),
        ("kind", text(&|entry| kind(entry.subject))),
        ("seed", Values::Numbers(seeds.collect())),
        ("set", text(&|entry| entry.set.clone())),
        ("task", text(&|entry| entry.task.to_owned())),
        ("metric", text(&|entry| entry.metric.to_owned())),
        (
            "document",
            Values::Integers(entries.iter().map(|entry| entry.document as i64).collect()),
        ),
        (
            "chance",
            Values::Numbers(entries.iter().map(|entry| entry.chance).collect()),
        ),
        (
            "value",
            Values::Numbers(entries.iter().map(|entry| Some(entry.value)).collect()),
        ),
    ]
    .map(|(name, values)| Column {
        name: name.to_owned(),
        values,
    });
    parquet_table("experiment", &columns)
}

fn kind(subject: &Subject) -> String {
    match json!(subject.kind) {
        Value::String(name) => name,
        other => other.to_string(),
    }
}

fn add_scores<'a>(subject: &'a Subject, scores: &'a Scores, entries: &mut Vec<Entry<'a>>) {
    let mut add_set = |set: &str, scores: &'a DocumentScores| {
        for (metric, values) in &scores.metrics {
            entries.extend(values.iter().enumerate().map(|(document, &value)| Entry {
                subject,
                set: set.to_owned(),
                task: &scores.task,
                metric,
                document,
                chance: None,
                value,
            }));
        }
    };
    add_set("forget", &scores.forget);
    for (set, scores) in [
        ("paraphrased", &scores.paraphrased),
        ("holdout", &scores.holdout),
        ("retain", &scores.retain),
    ] {
        if let Some(scores) = scores {
            add_set(set, scores);
        }
    }
    for (bits, scores) in &scores.rounded {
        add_set(&format!("rounded_{bits}"), scores);
    }
    for task in &scores.utility {
        entries.extend(
            task.values
                .iter()
                .enumerate()
                .map(|(document, &value)| Entry {
                    subject,
                    set: "utility".to_owned(),
                    task: &task.task,
                    metric: &task.metric,
                    document,
                    chance: Some(task.chance),
                    value,
                }),
        );
    }
}
