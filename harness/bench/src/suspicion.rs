//! Signs that a score says more about the prompt than about the model: answers that no filter could read, a metric that is the
//! same for every document. Judges, and changes no score.

use harness_task::{Response, Sample};
use serde_json::Value;

use crate::evaluate::Evaluation;

/// From this share of documents on, unreadable answers are worth a word.
const WORRYING_SHARE: f64 = 0.2;
/// Fewer documents may well agree by chance.
const FEWEST_CONSTANT: usize = 20;
/// Answers shown.
const EXAMPLES: usize = 3;
/// Characters shown of each.
const EXAMPLE_LENGTH: usize = 80;
/// What lm-eval's filters put in the place of an answer they find nothing in.
const INVALID: &str = "[invalid]";

/// What somebody should look at before believing the scores, in words.
pub fn warnings(evaluation: &Evaluation) -> Vec<String> {
    let mut warnings = Vec::new();
    let by_filter = |a: &Sample, b: &Sample| a.filter == b.filter;
    for samples in evaluation.samples.chunk_by(by_filter) {
        warnings.extend(unreadable(samples));
        let names = samples.first().map(|sample| &sample.metrics);
        let names = names.into_iter().flatten().map(|metric| &metric.name);
        warnings.extend(names.filter_map(|name| constant(name, samples)));
    }
    warnings
}

fn unreadable(samples: &[Sample]) -> Option<String> {
    let found: Vec<&Sample> = samples
        .iter()
        .filter(|sample| is_unreadable(sample))
        .collect();
    let share = found.len() as f64 / samples.len() as f64;
    if found.is_empty() || share < WORRYING_SHARE {
        return None;
    }
    let examples: Vec<String> = found
        .iter()
        .take(EXAMPLES)
        .map(|sample| example(sample))
        .collect();
    Some(format!(
        "filter {} found no answer in {} of {} documents, such as {}",
        samples[0].filter,
        found.len(),
        samples.len(),
        examples.join("; ")
    ))
}

/// Whether nothing is left of any generated text.
fn is_unreadable(sample: &Sample) -> bool {
    let nothing = |value: &Value| match value {
        Value::String(text) => text.trim().is_empty() || text == INVALID,
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    generated(sample).is_some() && sample.filtered_responses.iter().all(nothing)
}

fn generated(sample: &Sample) -> Option<&str> {
    match sample.responses.first()?.first()? {
        Response::GenerateUntil { text } => Some(text),
        _ => None,
    }
}

/// Row and end of the text, where answers mostly are.
fn example(sample: &Sample) -> String {
    let text = generated(sample).unwrap_or_default();
    let skipped = text.chars().count().saturating_sub(EXAMPLE_LENGTH);
    let end: String = text.chars().skip(skipped).collect();
    let cut = if skipped > 0 { "…" } else { "" };
    format!("{} {cut}{end:?}", sample.doc_id)
}

fn constant(name: &str, samples: &[Sample]) -> Option<String> {
    let value = |sample: &Sample| {
        let metric = sample.metrics.iter().find(|metric| metric.name == name)?;
        metric.value.as_f64()
    };
    let values: Vec<f64> = samples.iter().filter_map(value).collect();
    let first = values.first()?;
    let all_alike = values.iter().all(|value| value.total_cmp(first).is_eq());
    (all_alike && values.len() >= FEWEST_CONSTANT).then(|| {
        let (filter, count) = (&samples[0].filter, values.len());
        format!("{name} (filter {filter}) is {first} for every one of {count} documents")
    })
}

#[cfg(test)]
mod tests {
    use harness_task::{MetricValue, TaskResult};
    use serde_json::json;

    use super::*;

    fn evaluation(
        filtered: impl Fn(usize) -> &'static str,
        score: impl Fn(usize) -> f64,
    ) -> Evaluation {
        let sample = |doc_id: usize| Sample {
            doc_id,
            document: serde_json::Map::new(),
            target: json!("4"),
            requests: Vec::new(),
            responses: vec![vec![Response::GenerateUntil {
                text: format!("text {doc_id}"),
            }]],
            filter: "strict".to_owned(),
            filtered_responses: vec![json!(filtered(doc_id))],
            metrics: vec![MetricValue {
                name: "exact_match".to_owned(),
                value: json!(score(doc_id)),
            }],
        };
        Evaluation {
            samples: (0..20).map(sample).collect(),
            result: TaskResult {
                task: "t".to_owned(),
                alias: "t".to_owned(),
                version: None,
                effective_documents: 20,
                original_documents: 20,
                metrics: Vec::new(),
            },
        }
    }

    #[test]
    fn a_fifth_is_worth_a_word_and_less_is_not() {
        let scores = |i: usize| if i == 0 { 1.0 } else { 0.0 };
        let fifth = evaluation(|i| if i < 4 { INVALID } else { "4" }, scores);
        let [warning] = &warnings(&fifth)[..] else {
            panic!("one warning")
        };
        assert!(
            warning.contains("4 of 20") && warning.contains("\"text 0\""),
            "{warning}"
        );
        let less = evaluation(|i| if i < 3 { "" } else { "4" }, scores);
        assert_eq!(warnings(&less), [] as [String; 0]);
    }

    #[test]
    fn a_constant_metric_is_worth_a_word() {
        let constant = evaluation(|_| "4", |_| 0.0);
        let [warning] = &warnings(&constant)[..] else {
            panic!("one warning")
        };
        assert!(
            warning.contains("exact_match") && warning.contains("20 documents"),
            "{warning}"
        );
    }
}
