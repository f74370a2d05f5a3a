//! What a task's scores look like, per document and aggregated: plain values for the report; computes nothing.

use harness_data::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::score::number;
use crate::{Request, Response};

/// One metric of one document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// Metric name, as in `metric_list`.
    pub name: String,
    /// What is aggregated: 0 or 1 for accuracies, nats for `perplexity`, and a list for metrics of the whole set, such as
    /// `[target, text]` for `bleu` or `[nats, bytes]` for `byte_perplexity`.
    pub value: Value,
}

impl MetricValue {
    /// The value as a number, with truth values as 0 and 1; NaN where a Python function gave NaN, for `nanmean` to leave out.
    pub fn number(&self) -> Option<f64> {
        number(&self.value)
    }
}

/// A document, scored in one filter pipeline: everything a line of lm-eval's samples file needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Row number in the split, from 0.
    pub doc_id: usize,
    /// The row.
    pub document: Document,
    /// What `doc_to_target` gave.
    pub target: Value,
    /// The questions, each once.
    pub requests: Vec<Request>,
    /// The answers of each question, one for each repeat.
    pub responses: Vec<Vec<Response>>,
    /// Name of the filter pipeline that the metrics are of.
    pub filter: String,
    /// What the pipeline made of the answers of each question.
    pub filtered_responses: Vec<Value>,
    /// The document's metrics, in the order of `metric_list` (or of what `process_results` gives).
    pub metrics: Vec<MetricValue>,
}

/// One metric over all documents of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AggregatedMetric {
    /// Metric name, as in `metric_list`.
    pub name: String,
    /// Name of the filter pipeline.
    pub filter: String,
    /// The aggregate.
    pub value: f64,
    /// Standard error of `value`; `None` where lm-eval prints "N/A" (one document, or no known formula).
    pub stderr: Option<f64>,
    /// Documents behind `value`.
    pub documents: usize,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// A task's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// Registry name.
    pub task: String,
    /// Name shown in tables.
    pub alias: String,
    /// `metadata.version`, if given.
    pub version: Option<Value>,
    /// Documents scored.
    pub effective_documents: usize,
    /// Documents in the split.
    pub original_documents: usize,
    /// The metrics of each filter pipeline, in the order of `filter_list` and `metric_list`.
    pub metrics: Vec<AggregatedMetric>,
}

/// All that scoring a task gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskScores {
    /// Every document of the first filter pipeline, then every document of the next.
    pub samples: Vec<Sample>,
    /// The metrics over all documents.
    pub result: TaskResult,
}
