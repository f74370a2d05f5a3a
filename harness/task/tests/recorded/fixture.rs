//! Tasks out of recorded configurations: lm-eval writes whole YAMLs into its results, with functions as Python's source,
//! for which our own keys are put in.

use std::fs;
use std::path::PathBuf;

use harness_data::DataSource;
use harness_task::{Response, Task, TaskLibrary};
use serde_json::{Map, Value, json};

/// What stands for a task's Python functions.
fn native(task: &str) -> Value {
    match task {
        "hellaswag" => json!({ "process_docs": { "native": "hellaswag" } }),
        "mathqa" => json!({ "doc_to_choice": { "native": "mathqa_choices" } }),
        "truthfulqa_mc2" => json!({ "process_results": { "native": "truthfulqa_mc2" } }),
        "truthfulqa_gen" => json!({
            "process_docs": { "native": "truthfulqa_gen" },
            "process_results": { "native": "truthfulqa_gen" },
        }),
        "wikitext" => json!({
            "doc_to_target": { "native": "wikitext_detokenized" },
            "process_results": { "native": "wikitext" },
        }),
        "winogrande" => json!({
            "doc_to_text": "{{ {'1': 0, '2': 1}[answer] }}",
            "doc_to_target": "{{ sentence[sentence.index('_') + 1:].strip() }}",
            "doc_to_choice":
                "{{ [sentence[:sentence.index('_')] + option1, sentence[:sentence.index('_')] + option2] }}",
        }),
        _ => json!({}),
    }
}

pub(crate) fn shared(variable: &str, folder: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/");
    let path = std::env::var_os(variable).map_or_else(
        || PathBuf::from(format!("{default}{folder}")),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no {} (set {variable})", path.display());
    None
}

pub(crate) fn golden(file: &str) -> Option<String> {
    let path = shared("HARNESS_GOLDEN", "golden")?.join(file);
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("SKIPPED: no {} (set HARNESS_GOLDEN)", path.display());
    }
    text
}

pub(crate) fn golden_json(file: &str) -> Option<Value> {
    golden(file).map(|text| serde_json::from_str(&text).unwrap())
}

pub(crate) fn golden_lines(file: &str) -> Option<Vec<Value>> {
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    golden(file).map(|text| text.lines().map(parse).collect())
}

/// A recorded configuration as a YAML of ours. `fewshot_config` is recorded with all that it inherits; only what it can
/// have of its own stays.
pub(crate) fn yaml(config: &Value) -> String {
    let mut config = config.as_object().unwrap().clone();
    let own = ["sampler", "samples"];
    if let Some(Value::Object(fewshot)) = config.remove("fewshot_config") {
        let kept: Map<String, Value> = fewshot
            .into_iter()
            .filter(|(key, value)| own.contains(&key.as_str()) && !value.is_null())
            .collect();
        config.insert("fewshot_config".into(), kept.into());
    }
    let Value::Object(functions) = native(config["task"].as_str().unwrap()) else {
        unreachable!()
    };
    config.extend(functions);
    // JSON is YAML.
    Value::from(config).to_string()
}

/// A task out of the text of a YAML, and the folder that it lies in with its files.
pub(crate) fn task(
    yaml: &str,
    source: &DataSource,
    files: &[(&str, String)],
) -> Result<(tempfile::TempDir, Task), String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("task.yaml"), yaml).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let path = folder.path().join("task.yaml").display().to_string();
    let library = TaskLibrary::open(&[]).unwrap();
    let specs = library.resolve(&[path]);
    let task = specs.and_then(|mut specs| Task::load(specs.remove(0), source));
    task.map(|task| (folder, task))
        .map_err(|error| error.to_string())
}

/// A task on the real data, or on the stand-in for tasks whose train split is not there, as they were recorded.
pub(crate) fn task_on_data(config: &Value) -> Option<Task> {
    let data = shared("HARNESS_DATA", "data")?;
    let stand_in = data.with_file_name("data-fewshot");
    let needs_stand_in = config["test_split"].is_null() && !config["training_split"].is_null();
    let folders = if needs_stand_in {
        vec![stand_in]
    } else {
        vec![data]
    };
    let (_folder, task) = task(&yaml(config), &DataSource::new(folders), &[]).unwrap();
    Some(task)
}

/// A recorded response.
pub(crate) fn response(value: &Value) -> Response {
    match value {
        Value::String(text) => Response::GenerateUntil { text: text.clone() },
        Value::Array(pair) => Response::Loglikelihood {
            logprob: pair[0].as_f64().unwrap(),
            is_greedy: pair[1].as_bool().unwrap(),
        },
        logprob => Response::LoglikelihoodRolling {
            logprob: logprob.as_f64().unwrap(),
        },
    }
}

/// Whether two values are the same but for the last digits of their floats; integers equal floats.
pub(crate) fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-9)
        }
        (a, b) => a == b,
    }
}
