//! What a task's scores look like, per document and aggregated: plain values for the report; computes nothing.

use harness_data::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Request, Response};

/// One metric of one document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricValue {
    /// Metric name, as in `metric_list`.
    pub name: String,
    /// 0 or 1 for accuracies; nats for `perplexity` (the document's log-likelihood).
    pub value: f64,
}

/// A scored document: everything a line of lm-eval's samples file needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Row number in the split, from 0.
    pub doc_id: usize,
    /// The row.
    pub document: Document,
    /// What `doc_to_target` gave.
    pub target: Value,
    /// The questions.
    pub requests: Vec<Request>,
    /// The answers, in the order of the questions.
    pub responses: Vec<Response>,
    /// Name of the filter pipeline that the metrics are of.
    pub filter: String,
    /// The document's metrics, in the order of `metric_list`.
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
    /// Standard error of `value`; `None` where lm-eval prints "N/A" (one document).
    pub stderr: Option<f64>,
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
    /// The metrics, in the order of `metric_list`.
    pub metrics: Vec<AggregatedMetric>,
}
