//! Per-document records as lm-eval writes them to `samples_<task>_<time>.jsonl`: one line a document and filter
//! pipeline.

use harness_bench::sha256_hex;
use harness_task::{MetricValue, Request, Response, Sample, python_str};
use serde_json::{Map, Value, json};

/// The file's contents.
pub fn samples_jsonl(samples: &[Sample]) -> String {
    samples
        .iter()
        .map(|sample| line(sample).to_string() + "\n")
        .collect()
}

fn line(sample: &Sample) -> Value {
    let of_request = |repeats: &Vec<Response>| -> Value {
        repeats
            .iter()
            .map(|response| leaves_as_text(&response.to_value()))
            .collect()
    };
    let responses: Vec<Value> = sample.responses.iter().map(of_request).collect();
    let filtered: Vec<Value> = sample
        .filtered_responses
        .iter()
        .map(leaves_as_text)
        .collect();
    let [doc_hash, prompt_hash, target_hash] = document_hashes(sample);
    let mut line = json!({
        "doc_id": sample.doc_id,
        "doc": sample.document,
        "target": python_str(&sample.target),
        "arguments": arguments(&sample.requests),
        "resps": responses,
        "filtered_resps": filtered,
        "filter": sample.filter,
        "metrics": sample.metrics.iter().map(|metric| &metric.name).collect::<Vec<_>>(),
        "doc_hash": doc_hash,
        "prompt_hash": prompt_hash,
        "target_hash": target_hash,
    });
    for metric in &sample.metrics {
        line[&metric.name] = written(metric);
    }
    line
}

/// JSON has no NaN: it is the text that Python prints.
fn written(metric: &MetricValue) -> Value {
    match metric.number() {
        Some(number) if number.is_nan() => "nan".into(),
        _ => metric.value.clone(),
    }
}

fn arguments(requests: &[Request]) -> Value {
    let named = |(i, request): (usize, &Request)| {
        let arguments = request.arguments().into_iter().enumerate();
        let arguments = arguments.map(|(j, argument)| (format!("arg_{j}"), argument));
        (
            format!("gen_args_{i}"),
            arguments.collect::<Map<_, _>>().into(),
        )
    };
    requests
        .iter()
        .enumerate()
        .map(named)
        .collect::<Map<_, _>>()
        .into()
}

/// lm-eval writes every leaf of a response as Python prints it.
fn leaves_as_text(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(leaves_as_text).collect(),
        leaf => python_str(leaf).into(),
    }
}

/// Hashes of the document (as indented JSON), of the first prompt and of the target, in hexadecimal.
pub(crate) fn document_hashes(sample: &Sample) -> [String; 3] {
    let sha256 = |text: &str| sha256_hex(text.as_bytes());
    let document = format!("{:#}", Value::from(sample.document.clone()));
    let prompt = sample
        .requests
        .first()
        .and_then(|request| request.arguments().into_iter().next())
        .map(|argument| python_str(&argument))
        .unwrap_or_default();
    [
        sha256(&document),
        sha256(&prompt),
        sha256(&python_str(&sample.target)),
    ]
}
