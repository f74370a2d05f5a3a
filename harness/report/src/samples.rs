//! Per-document records as lm-eval writes them to `samples_<task>_<time>.jsonl`: one line a document.

use harness_bench::sha256_hex;
use harness_task::{Request, Response, Sample, python_str};
use serde_json::{Map, Value, json};

/// The file's contents.
pub fn samples_jsonl(samples: &[Sample]) -> String {
    samples
        .iter()
        .map(|sample| line(sample).to_string() + "\n")
        .collect()
}

fn line(sample: &Sample) -> Value {
    let responses: Vec<Value> = sample.responses.iter().map(response).collect();
    let [doc_hash, prompt_hash, target_hash] = document_hashes(sample);
    let mut line = json!({
        "doc_id": sample.doc_id,
        "doc": sample.document,
        "target": python_str(&sample.target),
        "arguments": arguments(&sample.requests),
        "resps": responses.iter().map(|response| json!([response])).collect::<Vec<_>>(),
        "filtered_resps": responses,
        "filter": sample.filter,
        "metrics": sample.metrics.iter().map(|metric| &metric.name).collect::<Vec<_>>(),
        "doc_hash": doc_hash,
        "prompt_hash": prompt_hash,
        "target_hash": target_hash,
    });
    for metric in &sample.metrics {
        line[&metric.name] = metric.value.into();
    }
    line
}

fn arguments(requests: &[Request]) -> Value {
    let named = |(i, request): (usize, &Request)| {
        let texts = texts(request)
            .into_iter()
            .enumerate()
            .map(|(j, text)| (format!("arg_{j}"), text.into()));
        (format!("gen_args_{i}"), texts.collect::<Map<_, _>>().into())
    };
    requests
        .iter()
        .enumerate()
        .map(named)
        .collect::<Map<_, _>>()
        .into()
}

fn texts(request: &Request) -> Vec<String> {
    match request {
        Request::Loglikelihood {
            context,
            continuation,
        } => vec![context.clone(), continuation.clone()],
        other => vec![format!("{other:?}")],
    }
}

/// lm-eval writes every leaf as Python prints it.
fn response(response: &Response) -> Value {
    match response {
        Response::Loglikelihood { logprob, is_greedy } => {
            json!([
                python_str(&(*logprob).into()),
                python_str(&(*is_greedy).into())
            ])
        }
        other => format!("{other:?}").into(),
    }
}

/// Hashes of the document (as indented JSON), of the first prompt and of the target, in hexadecimal.
pub(crate) fn document_hashes(sample: &Sample) -> [String; 3] {
    let sha256 = |text: &str| sha256_hex(text.as_bytes());
    let document = format!("{:#}", Value::from(sample.document.clone()));
    let prompt = sample
        .requests
        .first()
        .and_then(|request| texts(request).into_iter().next())
        .unwrap_or_default();
    [
        sha256(&document),
        sha256(&prompt),
        sha256(&python_str(&sample.target)),
    ]
}
