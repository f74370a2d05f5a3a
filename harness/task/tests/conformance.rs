//! The tasks that ship, and lm-eval's recorded prompts and configs on real data; what is not there is said to be skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud, recorded numbers are exact"
)]

use std::path::PathBuf;

use harness_data::DataSource;
use harness_task::{DocumentRequests, Request, RequestOptions, Task, TaskLibrary};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn shared(variable: &str, folder: &str) -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/");
    std::env::var_os(variable).map_or_else(
        || PathBuf::from(format!("{default}{folder}")),
        PathBuf::from,
    )
}

fn tasks() -> TaskLibrary {
    TaskLibrary::open(&[PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tasks"
    ))])
    .unwrap()
}

fn load(name: &str) -> Option<Task> {
    let data = shared("HARNESS_DATA", "data");
    if !data.is_dir() {
        eprintln!("SKIPPED: no {} (set HARNESS_DATA)", data.display());
        return None;
    }
    let spec = tasks().resolve(&[name.to_owned()]).unwrap().remove(0);
    Some(Task::load(spec, &DataSource::new(vec![data])).unwrap())
}

fn golden(file: &str) -> Option<String> {
    let path = shared("HARNESS_GOLDEN", "golden")
        .join("lm-eval")
        .join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("SKIPPED: no {} (set HARNESS_GOLDEN)", path.display());
    }
    text
}

fn golden_lines(file: &str) -> Option<Vec<Value>> {
    golden(file).map(|text| {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    })
}

fn arguments(request: &Request) -> Value {
    json!(request.arguments())
}

/// The hash of Python's `json.dumps(arguments, ensure_ascii=False)`, which has a space after the comma.
fn sha256(request: &Request) -> String {
    let items: Vec<String> = request.arguments().iter().map(Value::to_string).collect();
    let digest = Sha256::digest(format!("[{}]", items.join(", ")));
    let hexadecimal: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hexadecimal.concat()
}

fn options(num_fewshot: usize) -> RequestOptions {
    RequestOptions {
        num_fewshot: Some(num_fewshot),
        ..RequestOptions::default()
    }
}

fn every_request_is_lm_evals(name: &str, num_fewshot: usize, file: &str, documents: usize) {
    let (Some(task), Some(lines)) = (load(name), golden_lines(file)) else {
        return;
    };
    let requests = task.requests(&options(num_fewshot)).unwrap();
    assert_eq!(requests.len(), documents);
    requests_are_as_recorded(&requests, &lines);
}

fn requests_are_as_recorded(requests: &[DocumentRequests], lines: &[Value]) {
    assert_eq!(requests.len(), lines.len());
    for (document, line) in requests.iter().zip(lines) {
        assert_eq!(json!(document.doc_id), line["doc_id"]);
        assert_eq!(
            document.target, line["target"],
            "document {}",
            document.doc_id
        );
        let hashes: Vec<String> = document.requests.iter().map(sha256).collect();
        assert_eq!(
            json!(hashes),
            line["sha256"],
            "document {}: {:?}",
            document.doc_id,
            document.requests
        );
    }
}

#[test]
fn arc_easy_without_shots_asks_what_lm_eval_asks() {
    every_request_is_lm_evals("arc_easy", 0, "arc_easy.0shot.requests.jsonl", 2376);
}

#[test]
fn arc_challenge_with_25_shots_asks_what_lm_eval_asks() {
    every_request_is_lm_evals(
        "arc_challenge",
        25,
        "arc_challenge.25shot.requests.jsonl",
        1172,
    );
}

/// MMLU's prompts: a description, the first five of another split, a column of indices, literal choices.
fn mmlu_yaml(subject: &str) -> String {
    format!(
        "task: mmlu_{subject}\ndataset_path: cais/mmlu\ndataset_name: {subject}\ntest_split: test\nfewshot_split: dev\n\
         fewshot_config: {{sampler: first_n}}\noutput_type: multiple_choice\n\
         description: \"The following are multiple choice questions (with answers) about {}.\\n\\n\"\n\
         doc_to_text: \"{{{{question.strip()}}}}\\nA. {{{{choices[0]}}}}\\nB. {{{{choices[1]}}}}\\nC. {{{{choices[2]}}}}\\n\
         D. {{{{choices[3]}}}}\\nAnswer:\"\ndoc_to_choice: [A, B, C, D]\ndoc_to_target: answer\n",
        subject.replace('_', " ")
    )
}

#[test]
fn mmlu_with_5_shots_asks_what_lm_eval_asks() {
    let data = shared("HARNESS_DATA", "data");
    let Ok(subjects) = std::fs::read_dir(data.join("cais__mmlu")) else {
        eprintln!("SKIPPED: no {} (set HARNESS_DATA)", data.display());
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for subject in subjects {
        let subject = subject.unwrap().file_name().into_string().unwrap();
        let Some(lines) = golden_lines(&format!("mmlu.5shot.mmlu_{subject}.requests.jsonl")) else {
            return;
        };
        let yaml = folder.path().join("mmlu.yaml");
        std::fs::write(&yaml, mmlu_yaml(&subject)).unwrap();
        let spec = TaskLibrary::default()
            .resolve(&[yaml.display().to_string()])
            .unwrap()
            .remove(0);
        let task = Task::load(spec, &DataSource::new(vec![data.clone()])).unwrap();
        requests_are_as_recorded(&task.requests(&options(5)).unwrap(), &lines);
    }
}

#[test]
fn the_spec_serializes_as_lm_evals_config() {
    let Some(results) = golden("arc_easy.0shot.results.json") else {
        return;
    };
    let results: Value = serde_json::from_str(&results).unwrap();
    let mut spec = tasks().resolve(&["arc_easy".to_owned()]).unwrap().remove(0);
    spec.num_fewshot = Some(0);
    // What our YAML leaves out because it does nothing, and where ours lies.
    spec.should_decontaminate = true;
    spec.doc_to_decontamination_query = Some(json!("Question: {{question}}\nAnswer:"));
    spec.metadata.insert(
        "config_source".to_owned(),
        json!("lm_eval/tasks/arc/arc_easy.yaml"),
    );
    assert_eq!(
        serde_json::to_value(&spec).unwrap(),
        results["configs"]["arc_easy"]
    );
}

#[test]
fn forget_and_retain_sets_are_there_and_answers_begin_with_one_space() {
    for (name, documents) in [
        ("tofu_forget01", 40),
        ("tofu_forget05", 200),
        ("tofu_forget10", 400),
        ("tofu_retain99", 3960),
        ("tofu_retain95", 3800),
        ("tofu_retain90", 3600),
    ] {
        let Some(task) = load(name) else { return };
        let pairs = task.training_pairs(None).unwrap();
        assert_eq!(pairs.len(), documents, "{name}");
        let requests = task.requests(&RequestOptions::default()).unwrap();
        for (pair, document) in pairs.iter().zip(&requests) {
            assert!(
                pair.answer.starts_with(' ') && !pair.answer.starts_with("  "),
                "{name}: {pair:?}"
            );
            assert_eq!(
                arguments(&document.requests[0]),
                json!([pair.prompt, pair.answer]),
                "{name}"
            );
        }
    }
}

#[test]
fn tofu_choices_hold_one_right_and_some_wrong_answers() {
    for (name, documents) in [
        ("tofu_forget01_perturbed", 40),
        ("tofu_forget05_perturbed", 200),
        ("tofu_forget10_perturbed", 400),
        ("tofu_retain_perturbed", 400),
        ("tofu_real_authors", 100),
        ("tofu_world_facts", 117),
    ] {
        let Some(task) = load(name) else { return };
        let requests = task.requests(&RequestOptions::default()).unwrap();
        assert_eq!(requests.len(), documents, "{name}");
        assert!(
            requests
                .iter()
                .all(|document| document.requests.len() >= 3 && document.target == 0),
            "{name}"
        );
    }
}

#[test]
fn every_task_that_ships_is_valid() {
    let library = tasks();
    let broken: Vec<String> = library
        .broken()
        .map(|(_, error)| error.to_string())
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
    let names: Vec<String> = library.tasks().map(|(name, _)| name.to_owned()).collect();
    assert!(names.len() >= 14, "{names:?}");
    for spec in library.resolve(&names).unwrap() {
        let beside_the_yaml = spec.dataset_options.data_files.is_some();
        if beside_the_yaml {
            let task = Task::load(spec, &DataSource::default()).unwrap();
            assert!(
                !task
                    .requests(&RequestOptions::default())
                    .unwrap()
                    .is_empty(),
                "{task:?}"
            );
        }
    }
}
