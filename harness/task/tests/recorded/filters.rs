//! The filters of real tasks on awkward texts, against what lm-eval made of them.

use harness_data::DataSource;
use harness_task::{RequestOptions, Response};
use serde_json::{Value, json};

use crate::fixture::{golden_json, task};

/// What a filter makes of the responses to one request; an error where it fails.
fn filtered(step: &Value, responses: &[&str], choices: &Value) -> Result<Value, String> {
    let row = json!({ "q": "?", "a": "!", "choices": choices });
    let yaml = json!({
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": { "data_files": { "test": "rows.jsonl" } },
        "test_split": "test",
        "doc_to_text": "q",
        "doc_to_target": "a",
        "repeats": responses.len(),
        "metric_list": [{ "metric": "bypass" }],
        "filter_list": [{ "name": "own", "filter": [step] }],
    });
    let files = [("rows.jsonl", format!("{row}\n"))];
    let (_folder, task) = task(&yaml.to_string(), &DataSource::default(), &files)?;
    let requests = task.requests(&RequestOptions::default()).unwrap();
    let responses: Vec<Response> = responses
        .iter()
        .map(|text| Response::GenerateUntil {
            text: (*text).to_owned(),
        })
        .collect();
    let scores = task
        .score(&requests, &responses)
        .map_err(|error| error.to_string())?;
    Ok(scores.samples[0].filtered_responses[0].clone())
}

fn step(function: &Value, arguments: &Value) -> Value {
    let mut step = arguments.as_object().cloned().unwrap_or_default();
    step.insert("function".into(), function.clone());
    step.into()
}

#[test]
fn regex_filters_extract_as_recorded() {
    let Some(recorded) = golden_json("python/regex_filters.json") else {
        return;
    };
    for filter in recorded["filters"].as_array().unwrap() {
        let step = step(&filter["function"], &filter["args"]);
        for case in filter["cases"].as_array().unwrap() {
            let ours = filtered(&step, &[case["text"].as_str().unwrap()], &case["choices"]);
            match ours {
                Ok(ours) => assert_eq!(ours, json!([case["filtered"]]), "{step} of {case}"),
                Err(error) => assert!(
                    case["filtered"]["error"].is_string(),
                    "{step} of {case}: {error}"
                ),
            }
        }
    }
    for case in recorded["default_pattern"].as_array().unwrap() {
        let step = step(&json!("regex"), &case["args"]);
        // What is no text counts as empty, and a model gives nothing but text.
        let text = case["text"].as_str().unwrap_or_default();
        match filtered(&step, &[text], &Value::Null) {
            Ok(ours) => assert_eq!(ours, json!([case["filtered"]]), "{case}"),
            Err(error) => assert!(case["filtered"]["error"].is_string(), "{case}: {error}"),
        }
    }
}

#[test]
fn other_filters_do_as_recorded() {
    let Some(recorded) = golden_json("python/regex_filters.json") else {
        return;
    };
    for case in recorded["other_filters"].as_array().unwrap() {
        let step = step(&case["function"], &case["args"]);
        let requests = case["resps"].as_array().unwrap();
        for (index, responses) in requests.iter().enumerate() {
            let responses: Vec<&str> = responses
                .as_array()
                .unwrap()
                .iter()
                .map(|response| response.as_str().unwrap())
                .collect();
            match filtered(&step, &responses, &Value::Null) {
                Ok(ours) => assert_eq!(ours, case["expected"][index], "{case}"),
                Err(error) => assert!(case["expected"]["error"].is_string(), "{case}: {error}"),
            }
        }
    }
}
