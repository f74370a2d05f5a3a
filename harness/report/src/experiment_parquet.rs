//! Every value that an experiment measured as a Parquet table, a row a document, metric and model: for whoever wants to
//! aggregate them otherwise. Aggregates nothing itself.

use harness_bench::experiment::{
    DocumentScores, ExperimentRecord, Outcome, Scores, Subject, UtilityScores,
};
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

/// The file's contents: columns `row`, `kind`, `seed`, `set` (`forget`, `paraphrased`, `holdout`, `retain`, `truth_ratio`, `neutral`,
/// `written`, `rounded_4` …, `utility`, `utility_part`, `forget_choice`), `task`, `metric`, `document`, `chance` (of the two sets with
/// tasks that can be guessed) and `value`.
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
    for (set, scores) in &scores.sets {
        add_set(set, scores);
    }
    for (bits, scores) in &scores.rounded {
        add_set(&format!("rounded_{bits}"), scores);
    }
    let mut add_task = |set: &str, task: &'a str, metric: &'a str, chance, values: &[f64]| {
        let documents = values.iter().enumerate();
        entries.extend(documents.map(|(document, &value)| Entry {
            subject,
            set: set.to_owned(),
            task,
            metric,
            document,
            chance,
            value,
        }));
    };
    let useful = scores.utility.iter().map(|task| ("utility", task));
    for (set, task) in
        useful.chain((scores.forget_choice.iter()).map(|task| ("forget_choice", task)))
    {
        let UtilityScores {
            task,
            metric,
            chance,
            values,
        } = task;
        add_task(set, task, metric, Some(*chance), values);
    }
    for part in scores.composites.iter().flat_map(|own| &own.parts) {
        add_task("utility_part", &part.task, &part.metric, None, &part.values);
    }
}
