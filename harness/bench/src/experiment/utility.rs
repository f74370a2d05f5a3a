//! What must stay useful: any tasks, by the metric that lm-eval's users read, with the score of guessing. Refuses tasks whose
//! metrics are no means over documents.

use harness_engine::Scorer;
use harness_task::{Request, RequestOptions, Sample, Task};
use serde_json::Value;

use super::record::UtilityScores;
use crate::error::{BenchError, Result};
use crate::evaluate::evaluate;

/// The metric of a task, where it has several: the first of these.
const METRICS: [&str; 3] = ["acc_norm", "exact_match", "acc"];
/// The answers of a task that filters them in several ways, where it has this one.
const FILTER: &str = "flexible-extract";

/// Scores a model on a task or a group of tasks, each document counting alike.
///
/// # Errors
/// When a task cannot be scored, or has no metric that is a mean over documents.
pub(super) fn utility(
    name: &str,
    tasks: &[Task],
    scorer: &mut Scorer,
    options: &RequestOptions,
) -> Result<UtilityScores> {
    let (mut values, mut chances, mut metric) = (Vec::new(), Vec::new(), String::new());
    for task in tasks {
        let samples = evaluate(task, scorer, options, &mut |_| {})?.samples;
        let filters: Vec<&str> = samples
            .iter()
            .map(|sample| sample.filter.as_str())
            .collect();
        let filter = filters
            .iter()
            .find(|filter| **filter == FILTER)
            .or(filters.first())
            .copied()
            .unwrap_or_default()
            .to_owned();
        for sample in samples.iter().filter(|sample| sample.filter == filter) {
            let (found, value) = headline(sample).ok_or_else(|| no_metric(name))?;
            found.clone_into(&mut metric);
            values.push(value);
            chances.push(chance(task, sample, found));
        }
    }
    Ok(UtilityScores {
        task: name.to_owned(),
        metric,
        chance: harness_metric::mean(&chances)?,
        values,
    })
}

fn headline(sample: &Sample) -> Option<(&str, f64)> {
    let named = |name: &&str| sample.metrics.iter().find(|metric| metric.name == **name);
    let metric = METRICS.iter().find_map(named);
    let metric = metric.or(sample.metrics.first())?;
    let value = metric
        .number()
        .filter(|value| (0.0..=1.0).contains(value))?;
    Some((&metric.name, value))
}

fn no_metric(task: &str) -> BenchError {
    BenchError::Request(format!(
        "utility task {task}: it has no metric between 0 and 1 whose mean over documents says how good a model is"
    ))
}

/// Score of one that picks at random: an equal share of the choices, or of the answers' labels in `TruthfulQA`'s mc2; 0 for what
/// is written freely.
fn chance(task: &Task, sample: &Sample, metric: &str) -> f64 {
    if metric == "probability_w_options" {
        let is_answer = |request: &&Request| matches!(request, Request::Answer { .. });
        let answers = sample.requests.iter().filter(is_answer).count();
        // A paraphrased answer is no option.
        let options = answers - usize::from(task.spec().doc_to_paraphrase.is_some());
        return 1.0 / options.max(1) as f64;
    }
    let choices = sample
        .requests
        .iter()
        .filter(|request| matches!(request, Request::Loglikelihood { .. }))
        .count();
    if choices < 2 || metric == "exact_match" {
        return 0.0;
    }
    let labels = sample
        .document
        .get("mc2_targets")
        .and_then(|targets| targets.get("labels"));
    match labels.and_then(Value::as_array) {
        Some(labels) if labels.len() == choices => {
            let right = labels
                .iter()
                .filter(|label| label.as_i64() == Some(1))
                .count();
            right as f64 / choices as f64
        }
        _ => 1.0 / choices as f64,
    }
}
