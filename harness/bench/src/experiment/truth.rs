//! TOFU's forget quality in an experiment: truth ratios of every model, and whether a row's could be the oracle's. Refuses tasks
//! without truth ratios, and gives no quality without an oracle.

use std::collections::BTreeMap;

use harness_data::DataSource;
use harness_engine::Scorer;
use harness_metric::median;
use harness_task::{OutputType, RequestOptions, Task, TaskSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{DocumentScores, Scores};
use super::standing::Anchors;
use crate::error::{BenchError, Result};
use crate::evaluate::evaluate;
use crate::forget_quality::{TRUTH_RATIO, forget_quality, truth_ratios};

/// The set of the record that has the truth ratios.
pub(super) const TRUTH: &str = "truth_ratio";

/// What log10 p counts as where p is below the smallest number.
const LEAST_LOG10_P: f64 = -308.0;

/// Forget quality of a row: the Kolmogorov–Smirnov test of its truth ratios against the oracle's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowForgetQuality {
    /// Decimal logarithm of the exact p-value, median over seeds; −308 stands for less.
    pub log10_p: f64,
    /// Largest distance of the two distribution functions, median over seeds.
    pub statistic: f64,
    /// Documents behind each sample: at a distance of 1 they alone decide how small p is.
    pub documents: usize,
    /// log10 p of each seed.
    pub by_seed: Vec<f64>,
}

/// Whether a task has truth ratios among its metrics.
pub fn gives_truth_ratios(spec: &TaskSpec) -> bool {
    let mut metrics = spec.metric_list.iter();
    spec.output_type == OutputType::Answer && metrics.any(|metric| metric.name == TRUTH_RATIO)
}

/// Loads a task for its truth ratios alone.
///
/// # Errors
/// When the task has none, or its data cannot be read.
pub fn truth_ratio_task(mut spec: TaskSpec, source: &DataSource) -> Result<Task> {
    if !gives_truth_ratios(&spec) {
        let message = format!(
            "truth_ratio: task {} gives no truth ratios: that takes `output_type: answer`, `doc_to_wrong` and the metric {TRUTH_RATIO} (tofu_forget01 has them)",
            spec.task
        );
        return Err(BenchError::Request(message));
    }
    spec.metric_list.retain(|metric| metric.name == TRUTH_RATIO);
    Ok(Task::load(spec, source)?)
}

/// The truth ratio of each document.
pub(super) fn truth_ratio_scores(
    task: &Task,
    scorer: &mut Scorer,
    options: &RequestOptions,
) -> Result<DocumentScores> {
    let samples = evaluate(task, scorer, options, &mut |_| {})?.samples;
    Ok(DocumentScores {
        task: task.spec().task.clone(),
        metrics: BTreeMap::from([(TRUTH_RATIO.to_owned(), truth_ratios(&samples)?)]),
    })
}

fn ratios(scores: &Scores) -> Option<&Vec<f64>> {
    scores.sets.get(TRUTH)?.metrics.get(TRUTH_RATIO)
}

impl Anchors<'_> {
    /// Forget quality of some runs, each against the first oracle. The median over seeds, since one seed that is told apart at once
    /// would decide a mean of logarithms alone.
    pub(super) fn forget_quality(&self, runs: &[&Scores]) -> Result<Option<RowForgetQuality>> {
        let oracle = self.oracles.first().and_then(|oracle| ratios(oracle));
        let own: Option<Vec<&Vec<f64>>> = runs.iter().map(|run| ratios(run)).collect();
        let Some((oracle, own)) = oracle.zip(own) else {
            return Ok(None);
        };
        let mut qualities = Vec::new();
        for own in own {
            if own.len() != oracle.len() {
                return Ok(None);
            }
            qualities.push(forget_quality(own, oracle)?);
        }
        let by_seed = qualities.iter().map(|own| own.log10_p.max(LEAST_LOG10_P));
        let by_seed: Vec<f64> = by_seed.collect();
        let statistics: Vec<f64> = qualities.iter().map(|own| own.statistic).collect();
        Ok(Some(RowForgetQuality {
            log10_p: median(&by_seed)?,
            statistic: median(&statistics)?,
            documents: oracle.len(),
            by_seed,
        }))
    }

    /// What a reader has to know about forget quality.
    pub(super) fn truth_remark(&self) -> Option<String> {
        let has_ratios = ratios(self.original).is_some();
        (has_ratios && self.oracles.is_empty()).then(|| {
            "no oracle: there are truth ratios, but no forget quality, which compares them with an oracle's".to_owned()
        })
    }
}
