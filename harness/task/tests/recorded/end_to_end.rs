//! Small tasks of every output type that lm-eval ran over tiny models: few-shot prompts, filters, metrics.

use harness_data::DataSource;
use harness_task::{RequestOptions, Task};
use serde_json::{Value, json};

use crate::fixture::{golden_json, response, same, task};
use crate::tasks::result_is_as_recorded;

/// Bootstrap replicates of the recorded runs.
const REPLICATES: usize = 100;

fn rows(documents: &Value) -> String {
    let documents = documents.as_array().unwrap();
    documents.iter().map(|row| row.to_string() + "\n").collect()
}

fn loaded(recorded: &Value) -> (tempfile::TempDir, Task) {
    let mut config = recorded["config"].as_object().unwrap().clone();
    config.insert("dataset_path".into(), json!("json"));
    config.insert("test_split".into(), json!("test"));
    config.insert(
        "dataset_kwargs".into(),
        json!({ "data_files": { "test": "test.jsonl", "train": "train.jsonl" } }),
    );
    let mut files = vec![("test.jsonl", rows(&recorded["docs"]))];
    if recorded["fewshot_docs"].is_array() {
        files.push(("train.jsonl", rows(&recorded["fewshot_docs"])));
    } else {
        files.push(("train.jsonl", String::new()));
    }
    let yaml = Value::from(config).to_string();
    let (folder, task) = task(&yaml, &DataSource::default(), &files).unwrap();
    (folder, task.with_bootstrap_replicates(REPLICATES))
}

#[test]
fn small_tasks_run_as_recorded() {
    let Some(recorded) = golden_json("metrics/lm_eval_end_to_end.json") else {
        return;
    };
    for (model, runs) in recorded["runs"].as_object().unwrap() {
        for (name, run) in runs.as_object().unwrap() {
            run_is_as_recorded(&format!("{model}, {name}"), &recorded["tasks"][name], run);
        }
    }
}

fn run_is_as_recorded(place: &str, recorded: &Value, run: &Value) {
    let (_folder, task) = loaded(recorded);
    let requests = task.requests(&RequestOptions::default()).unwrap();
    let samples = run["samples"].as_array().unwrap();
    let mut responses = Vec::new();
    for (document, sample) in requests.iter().zip(samples) {
        let arguments: Vec<Value> = document
            .requests
            .iter()
            .map(|request| json!(request.arguments()))
            .collect();
        assert_eq!(json!(arguments), sample["arguments"], "{place}");
        let recorded = sample["resps"].as_array().unwrap();
        // Several pipelines are recorded one after the other, with the responses again.
        let of_request = |repeats: &Value| match repeats {
            Value::Array(repeats) => response(&repeats[0]),
            other => response(other),
        };
        responses.extend(recorded.iter().map(of_request));
    }
    let scores = task.score(&requests, &responses).unwrap();
    assert_eq!(scores.samples.len(), samples.len(), "{place}");
    for (sample, recorded) in scores.samples.iter().zip(samples) {
        assert_eq!(sample.filter, recorded["filter"], "{place}");
        let filtered = json!(sample.filtered_responses);
        assert!(
            same(&filtered, &recorded["filtered_resps"]),
            "{place}: {filtered}"
        );
        for metric in &sample.metrics {
            assert!(
                same(&metric.value, &recorded[&metric.name]),
                "{place}: {metric:?}"
            );
        }
    }
    result_is_as_recorded(place, &scores, &run["results"]);
}
