//! Recorded runs over real data: requests of every document, filtered responses, metrics, results.

use harness_task::{DocumentRequests, Request, RequestOptions, Response, TaskScores};
use serde_json::{Value, json};

use crate::fixture::{golden_json, golden_lines, response, same, task_on_data};
use crate::python_json::sha256;

/// The recorded runs, all without a chat template.
const RUNS: [(&str, &str); 15] = [
    ("arc_easy", "arc_easy.0shot"),
    ("arc_challenge", "arc_challenge.0shot"),
    ("arc_challenge", "arc_challenge.25shot"),
    ("gsm8k", "gsm8k.5shot"),
    ("hellaswag", "hellaswag.0shot"),
    ("hellaswag", "hellaswag.10shot"),
    ("mathqa", "mathqa.0shot"),
    ("mmlu_anatomy", "mmlu_anatomy.5shot"),
    ("mmlu_formal_logic", "mmlu_formal_logic.5shot"),
    ("truthfulqa_gen", "truthfulqa_gen.0shot"),
    ("truthfulqa_mc1", "truthfulqa_mc1.0shot"),
    ("truthfulqa_mc2", "truthfulqa_mc2.0shot"),
    ("wikitext", "wikitext.0shot"),
    ("winogrande", "winogrande.5shot"),
    ("wmdp_bio", "wmdp_bio.0shot"),
];

/// Runs of which every document's requests are recorded, as hashes; others of the same task have another data set.
const HASHED: [(&str, &str, &str); 11] = [
    ("arc_easy", "arc_easy.0shot", "arc_easy.0shot"),
    (
        "arc_challenge",
        "arc_challenge.25shot",
        "arc_challenge.25shot",
    ),
    ("gsm8k", "gsm8k.5shot", "gsm8k.5shot"),
    ("hellaswag", "hellaswag.10shot", "hellaswag.10shot"),
    ("mathqa", "mathqa.0shot", "mathqa.0shot"),
    (
        "truthfulqa_mc1",
        "truthfulqa_mc1.0shot",
        "truthfulqa_mc1.0shot",
    ),
    (
        "truthfulqa_mc2",
        "truthfulqa_mc2.0shot",
        "truthfulqa_mc2.0shot",
    ),
    ("winogrande", "winogrande.5shot", "winogrande.5shot"),
    ("wmdp_bio", "wmdp_bio.0shot", "wmdp.0shot.wmdp_bio"),
    ("wmdp_bio", "wmdp_bio.0shot", "wmdp.0shot.wmdp_chem"),
    ("wmdp_bio", "wmdp_bio.0shot", "wmdp.0shot.wmdp_cyber"),
];

fn arguments(requests: &[Request]) -> Value {
    requests
        .iter()
        .map(|request| json!(request.arguments()))
        .collect()
}

#[test]
fn every_request_of_every_document_is_lm_evals() {
    for (name, run, file) in HASHED {
        let (Some(results), Some(lines)) = (
            golden_json(&format!("lm-eval/{run}.results.json")),
            golden_lines(&format!("lm-eval/{file}.requests.jsonl")),
        ) else {
            return;
        };
        let subject = file.rsplit('_').next().unwrap();
        let mut config = results["configs"][name].clone();
        if file.starts_with("wmdp") {
            config = serde_json::from_str(&renamed_wmdp(&config, subject)).unwrap();
        }
        let Some(task) = task_on_data(&config) else {
            return;
        };
        let requests = task.requests(&RequestOptions::default()).unwrap();
        assert_eq!(requests.len(), lines.len(), "{file}");
        for (document, line) in requests.iter().zip(&lines) {
            assert_eq!(json!(document.doc_id), line["doc_id"], "{file}");
            assert_eq!(
                document.target, line["target"],
                "{file}, {}",
                document.doc_id
            );
            let hashes: Vec<String> = document
                .requests
                .iter()
                .map(|request| sha256(&json!(request.arguments())))
                .collect();
            let id = document.doc_id;
            assert_eq!(
                json!(hashes),
                line["sha256"],
                "{file}, {id}: {:?}",
                document.requests
            );
        }
    }
}

fn renamed_wmdp(config: &Value, subject: &str) -> String {
    let field = match subject {
        "bio" => "biology",
        "chem" => "chemistry",
        _ => "cybersecurity",
    };
    let text = config.to_string();
    text.replace("wmdp-bio", &format!("wmdp-{subject}"))
        .replace("about biology", &format!("about {field}"))
}

#[test]
fn recorded_responses_score_as_recorded() {
    for (name, run) in RUNS {
        let (Some(results), Some(lines)) = (
            golden_json(&format!("lm-eval/{run}.results.json")),
            golden_lines(&format!("lm-eval/{run}.samples.jsonl")),
        ) else {
            return;
        };
        let Some(task) = task_on_data(&results["configs"][name]) else {
            return;
        };
        let mut requests = task.requests(&RequestOptions::default()).unwrap();
        requests.truncate(lines.len());
        let scores = task
            .score(&requests, &responses(&requests, &lines))
            .unwrap();
        samples_are_as_recorded(run, &scores, &lines);
        result_is_as_recorded(run, &scores, &results["results"][name]);
        let result = &scores.result;
        for metric in &result.metrics {
            let recorded = &results["higher_is_better"][name][&metric.name];
            assert_eq!(
                json!(metric.higher_is_better),
                *recorded,
                "{run}, {}",
                metric.name
            );
        }
        assert_eq!(
            json!(result.original_documents),
            results["n-samples"][name]["original"],
            "{run}"
        );
        assert_eq!(
            result.version.as_ref(),
            Some(&results["versions"][name]),
            "{run}"
        );
    }
}

/// The recorded responses, after a look at what they answer.
fn responses(requests: &[DocumentRequests], lines: &[Value]) -> Vec<Response> {
    assert_eq!(requests.len(), lines.len());
    let mut responses = Vec::new();
    for (document, line) in requests.iter().zip(lines) {
        assert_eq!(json!(document.doc_id), line["doc_id"]);
        assert_eq!(arguments(&document.requests), line["arguments"]);
        let repeats = line["resps"].as_array().unwrap();
        responses.extend(
            repeats
                .iter()
                .flat_map(|of_request| of_request.as_array().unwrap())
                .map(response),
        );
    }
    responses
}

fn samples_are_as_recorded(run: &str, scores: &TaskScores, lines: &[Value]) {
    let pipelines = lines[0]["filtered"].as_object().unwrap();
    assert_eq!(scores.samples.len(), pipelines.len() * lines.len(), "{run}");
    for (pipeline, samples) in pipelines.keys().zip(scores.samples.chunks(lines.len())) {
        for (sample, line) in samples.iter().zip(lines) {
            let place = format!("{run}, {pipeline}, {}", sample.doc_id);
            assert_eq!(sample.filter, *pipeline, "{place}");
            assert_eq!(sample.target, line["target"], "{place}");
            let filtered = json!(sample.filtered_responses);
            assert!(
                same(&filtered, &line["filtered"][pipeline]),
                "{place}: {filtered}"
            );
            let metrics = line["metrics"][pipeline].as_object().unwrap();
            assert_eq!(sample.metrics.len(), metrics.len(), "{place}");
            for metric in &sample.metrics {
                let recorded = &metrics[&metric.name];
                assert!(
                    same(&metric.value, recorded),
                    "{place}: {metric:?}, recorded {recorded}"
                );
            }
        }
    }
}

pub(crate) fn result_is_as_recorded(run: &str, scores: &TaskScores, recorded: &Value) {
    let result = &scores.result;
    assert_eq!(
        json!(result.effective_documents),
        recorded["sample_len"],
        "{run}"
    );
    for metric in &result.metrics {
        let (name, filter) = (&metric.name, &metric.filter);
        let value = &recorded[format!("{name},{filter}")];
        assert!(
            same(&json!(metric.value), value),
            "{run}: {metric:?}, recorded {value}"
        );
        let stderr = metric.stderr.map_or(json!("N/A"), |stderr| json!(stderr));
        let recorded = &recorded[format!("{name}_stderr,{filter}")];
        assert!(
            same(&stderr, recorded),
            "{run}: {metric:?}, recorded {recorded}"
        );
    }
    let scores = recorded
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| key.contains(','));
    assert_eq!(result.metrics.len() * 2, scores.count(), "{run}");
}
