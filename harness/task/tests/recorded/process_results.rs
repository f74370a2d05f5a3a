//! Scores of single documents, as lm-eval's `process_results` gave them.

use harness_data::DataSource;
use harness_task::{RequestOptions, Response, Task, TaskScores};
use serde_json::{Value, json};

use crate::fixture::{golden_json, same, task};

/// A task over one row.
fn over(row: &Value, more: &Value) -> Task {
    let mut yaml = json!({
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": { "data_files": { "test": "rows.jsonl" } },
        "test_split": "test",
        "doc_to_text": "q",
    });
    yaml.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let files = [("rows.jsonl", format!("{row}\n"))];
    let (_folder, task) = task(&yaml.to_string(), &DataSource::default(), &files).unwrap();
    task.with_bootstrap_replicates(0)
}

fn scored(task: &Task, responses: &[Response]) -> Result<TaskScores, String> {
    let requests = task
        .requests(&RequestOptions::default())
        .map_err(|error| error.to_string())?;
    task.score(&requests, responses)
        .map_err(|error| error.to_string())
}

fn logprob(value: &Value) -> f64 {
    match value.as_str() {
        Some("NaN") => f64::NAN,
        Some("-Infinity") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap(),
    }
}

fn loglikelihoods(values: &Value) -> Vec<Response> {
    let response = |pair: &Value| Response::Loglikelihood {
        logprob: logprob(&pair[0]),
        is_greedy: pair[1].as_bool().unwrap(),
    };
    values.as_array().unwrap().iter().map(response).collect()
}

fn is_as_expected(scores: &TaskScores, case: &Value) {
    for metric in &scores.samples[0].metrics {
        let expected = &case["expected"][&metric.name];
        assert!(same(&metric.value, expected), "{metric:?}, recorded {case}");
    }
}

#[test]
fn choices_are_scored_as_recorded() {
    let Some(recorded) = golden_json("metrics/lm_eval_process_results.json") else {
        return;
    };
    for kind in [
        "multiple_choice",
        "multiple_choice_mutual_info",
        "multiple_choice_text_gold",
        "multiple_choice_multiple_gold",
    ] {
        for case in recorded[kind].as_array().unwrap() {
            let known = case["expected"].as_object().unwrap().keys();
            // Upstream cannot aggregate it, so it is refused.
            let names = known.filter(|name| *name != "likelihood");
            let metrics: Vec<Value> = names
                .map(|name| json!({ "metric": name, "aggregation": "bypass" }))
                .collect();
            let yaml = json!({
                "output_type": "multiple_choice",
                "doc_to_target": "gold",
                "doc_to_choice": "choices",
                "metric_list": metrics,
            });
            let scores = scored(
                &over(&case["doc"], &yaml),
                &loglikelihoods(&case["loglikelihoods"]),
            );
            // What upstream scores as 0 or lets win, is an error here.
            let no_choice = case["expected"]["f1"][0] == -100;
            let refused = no_choice
                || case["doc"]["q"] == "nan"
                || case["doc"]["choices"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(""));
            match scores {
                Ok(scores) => is_as_expected(&scores, case),
                Err(error) => assert!(refused, "{case}: {error}"),
            }
        }
    }
}

#[test]
fn generated_texts_are_matched_as_recorded() {
    let Some(recorded) = golden_json("metrics/lm_eval_process_results.json") else {
        return;
    };
    for case in recorded["generate_until"].as_array().unwrap() {
        let mut metric = case["kwargs"].as_object().unwrap().clone();
        metric.insert("metric".into(), json!("exact_match"));
        let yaml = json!({ "doc_to_target": "gold", "metric_list": [metric] });
        let text = case["result"].as_str().unwrap().to_owned();
        let scores = scored(
            &over(&case["doc"], &yaml),
            &[Response::GenerateUntil { text }],
        );
        is_as_expected(&scores.unwrap(), case);
    }
}

#[test]
fn whole_texts_are_counted_as_recorded() {
    let Some(recorded) = golden_json("metrics/lm_eval_process_results.json") else {
        return;
    };
    for case in recorded["loglikelihood_rolling"].as_array().unwrap() {
        let yaml = json!({ "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "t" });
        let task = over(&case["doc"], &yaml);
        let logprob = logprob(&case["loglikelihood"]);
        match scored(&task, &[Response::LoglikelihoodRolling { logprob }]) {
            Ok(scores) => is_as_expected(&scores, case),
            // No bytes, no score per byte.
            Err(error) => assert_eq!(case["doc"]["t"], "", "{error}"),
        }
    }
}

#[test]
fn true_choices_share_the_probability_as_recorded() {
    let Some(recorded) = golden_json("metrics/lm_eval_process_results.json") else {
        return;
    };
    for case in recorded["truthfulqa_mc2"].as_array().unwrap() {
        let labels = case["labels"].as_array().unwrap();
        let choices: Vec<String> = (0..labels.len()).map(|i| i.to_string()).collect();
        let row = json!({ "q": "Q", "mc2_targets": { "choices": choices, "labels": labels } });
        let yaml = json!({
            "output_type": "multiple_choice",
            "doc_to_target": 0,
            "doc_to_choice": "{{mc2_targets.choices}}",
            "process_results": { "native": "truthfulqa_mc2" },
            "metric_list": [{ "metric": "acc" }],
        });
        let response = |value: &Value| Response::Loglikelihood {
            logprob: logprob(value),
            is_greedy: false,
        };
        let responses: Vec<Response> = case["loglikelihoods"]
            .as_array()
            .unwrap()
            .iter()
            .map(response)
            .collect();
        let scores = scored(&over(&row, &yaml), &responses).unwrap();
        // Where all probabilities are too small for a float, upstream divides zero by zero.
        if case["expected"]["acc"] != "NaN" {
            is_as_expected(&scores, case);
        }
    }
}

#[test]
fn generated_answers_are_compared_as_recorded() {
    let Some(recorded) = golden_json("metrics/lm_eval_process_results.json") else {
        return;
    };
    let names = ["bleu", "rouge1", "rouge2", "rougeL"];
    let metrics: Vec<Value> = names
        .iter()
        .flat_map(|name| ["max", "acc", "diff"].map(|kind| format!("{name}_{kind}")))
        .map(|name| json!({ "metric": name, "aggregation": "mean" }))
        .collect();
    for case in recorded["truthfulqa_gen"].as_array().unwrap() {
        let mut row = case["doc"].clone();
        row["q"] = json!("Q");
        let yaml = json!({
            "doc_to_target": " ",
            "process_results": { "native": "truthfulqa_gen" },
            "metric_list": metrics,
        });
        let text = case["completion"].as_str().unwrap().to_owned();
        let scores = scored(&over(&row, &yaml), &[Response::GenerateUntil { text }]).unwrap();
        assert_eq!(scores.result.metrics.len(), 12);
        is_as_expected(&scores, case);
    }
}

#[test]
fn answers_become_sentences_as_recorded() {
    let Some(recorded) = golden_json("metrics/lm_eval_process_results.json") else {
        return;
    };
    for case in recorded["truthfulqa_preprocess"].as_array().unwrap() {
        let yaml = json!({
            "doc_to_text": "question",
            "doc_to_target": " ",
            "process_docs": { "native": "truthfulqa_gen" },
        });
        assert_eq!(
            json!(over(&case["input"], &yaml).documents()[0]),
            case["expected"]
        );
    }
}
