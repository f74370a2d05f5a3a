//! Per-document records as a Parquet table, `samples_<task>_<time>.parquet`: a row a document and filter pipeline, numbers as
//! numbers. Holds what the JSONL file holds; computes nothing.

use harness_task::{MetricValue, Request, Response, Sample, python_str};
use parquet::errors::Result;
use serde_json::{Value, json};

use crate::parquet_table::{Column, Values, parquet_table};
use crate::samples::document_hashes;

/// The file's contents.
///
/// # Errors
/// Where the Parquet writer refuses them.
pub fn samples_parquet(samples: &[Sample]) -> Result<Vec<u8>> {
    parquet_table("samples", &columns(samples))
}

fn columns(samples: &[Sample]) -> Vec<Column> {
    let each = |value: &dyn Fn(&Sample) -> Option<String>| samples.iter().map(value).collect();
    let text =
        |value: &dyn Fn(&Sample) -> String| Values::Texts(each(&|sample| Some(value(sample))));
    let lists = |value: &dyn Fn(&Request) -> Option<String>| {
        let of_sample = |sample: &Sample| sample.requests.iter().filter_map(value).collect();
        Values::TextLists(samples.iter().map(of_sample).collect())
    };
    let filtered = |sample: &Sample| sample.filtered_responses.iter().map(plain).collect();
    let hash = |place: usize| text(&move |sample| document_hashes(sample)[place].clone());
    let mut columns: Vec<Column> = [
        (
            "doc_id",
            Values::Integers(samples.iter().map(|sample| sample.doc_id as i64).collect()),
        ),
        ("filter", text(&|sample| sample.filter.clone())),
        ("target", text(&|sample| python_str(&sample.target))),
        (
            "doc",
            Values::Json(each(&|sample| Some(json!(sample.document).to_string()))),
        ),
        ("prompts", lists(&|request| Some(prompt(request)))),
        ("continuations", lists(&continuation)),
        ("gen_kwargs", Values::Json(each(&generation))),
        ("logprobs", Values::NumberLists(responses(samples, logprob))),
        (
            "is_greedy",
            Values::FlagLists(responses(samples, is_greedy)),
        ),
        ("texts", Values::TextLists(responses(samples, generated))),
        (
            "filtered",
            Values::TextLists(samples.iter().map(filtered).collect()),
        ),
        ("doc_hash", hash(0)),
        ("prompt_hash", hash(1)),
        ("target_hash", hash(2)),
    ]
    .map(|(name, values)| Column {
        name: name.to_owned(),
        values,
    })
    .into();
    add_metrics(samples, &mut columns);
    columns
}

/// A column a metric: of numbers, or of JSON where a document's value is no number.
fn add_metrics(samples: &[Sample], columns: &mut Vec<Column>) {
    let fixed = columns.len();
    let mut names: Vec<&str> = Vec::new();
    for metric in samples.iter().flat_map(|sample| &sample.metrics) {
        if !names.contains(&metric.name.as_str()) {
            names.push(&metric.name);
        }
    }
    for name in names {
        let of_sample = |sample| metric_of(sample, name);
        let is_number = |metric: &MetricValue| metric.number().is_some();
        let values = if samples.iter().filter_map(of_sample).all(is_number) {
            let number = |sample| of_sample(sample).and_then(MetricValue::number);
            Values::Numbers(samples.iter().map(number).collect())
        } else {
            let text = |sample| of_sample(sample).map(|metric| metric.value.to_string());
            Values::Json(samples.iter().map(text).collect())
        };
        let is_taken = columns[..fixed].iter().any(|column| column.name == name);
        let prefix = if is_taken { "metric_" } else { "" };
        columns.push(Column {
            name: format!("{prefix}{name}"),
            values,
        });
    }
}

fn metric_of<'a>(sample: &'a Sample, name: &str) -> Option<&'a MetricValue> {
    sample.metrics.iter().find(|metric| metric.name == name)
}

/// Texts as they are, anything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn prompt(request: &Request) -> String {
    request.arguments().first().map(plain).unwrap_or_default()
}

fn continuation(request: &Request) -> Option<String> {
    match request {
        Request::Loglikelihood { continuation, .. }
        | Request::Answer {
            answer: continuation,
            ..
        } => Some(continuation.clone()),
        _ => None,
    }
}

/// The settings of generation, which all requests of a document share.
fn generation(sample: &Sample) -> Option<String> {
    sample.requests.iter().find_map(|request| match request {
        Request::GenerateUntil { generation, .. } => Some(json!(generation.given).to_string()),
        _ => None,
    })
}

fn responses<T>(samples: &[Sample], of: fn(&Response) -> Option<T>) -> Vec<Vec<T>> {
    let of_sample = |sample: &Sample| sample.responses.iter().flatten().filter_map(of).collect();
    samples.iter().map(of_sample).collect()
}

fn logprob(response: &Response) -> Option<f64> {
    match response {
        Response::Loglikelihood { logprob, .. } | Response::LoglikelihoodRolling { logprob } => {
            Some(*logprob)
        }
        Response::Answer(tokens) => Some(tokens.logprobs(true).iter().sum()),
        _ => None,
    }
}

fn is_greedy(response: &Response) -> Option<bool> {
    match response {
        Response::Loglikelihood { is_greedy, .. } => Some(*is_greedy),
        Response::Answer(tokens) => Some(tokens.is_argmax.iter().all(|&is_argmax| is_argmax)),
        _ => None,
    }
}

fn generated(response: &Response) -> Option<String> {
    match response {
        Response::GenerateUntil { text } => Some(text.clone()),
        _ => None,
    }
}
