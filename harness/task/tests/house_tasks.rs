//! The tasks of `tasks/` against lm-eval: the same requests for every document of every recording, and each is the task that
//! its folder says it is.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud"
)]

#[path = "recorded/python_json.rs"]
mod python_json;

use std::path::{Path, PathBuf};

use harness_data::DataSource;
use harness_task::{Needs, RequestOptions, Task, TaskLibrary, TaskNode};
use python_json::sha256;
use serde_json::{Value, json};

fn library() -> TaskLibrary {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tasks");
    TaskLibrary::open(&[PathBuf::from(folder)]).unwrap()
}

fn shared(variable: &str, folder: &str) -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/");
    std::env::var_os(variable).map_or_else(
        || PathBuf::from(format!("{default}{folder}")),
        PathBuf::from,
    )
}

/// A recording: the task, its shots, and its file.
struct Recording {
    task: String,
    shots: usize,
    file: PathBuf,
}

/// `TASK.5shot.requests.jsonl`, or `RUN.5shot.TASK.requests.jsonl`.
fn recording(file: PathBuf) -> Option<Recording> {
    let name = file
        .file_name()?
        .to_str()?
        .strip_suffix(".requests.jsonl")?;
    let parts: Vec<&str> = name.split('.').collect();
    let shots = parts.get(1)?.strip_suffix("shot")?.parse().ok()?;
    let task = parts.get(2).unwrap_or(&parts[0]).to_string();
    Some(Recording { task, shots, file })
}

fn recordings() -> Vec<Recording> {
    let folder = shared("HARNESS_GOLDEN", "golden").join("lm-eval");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no {} (set HARNESS_GOLDEN)", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().filter_map(recording).collect()
}

/// The real rows; where the recording drew shots that are not among them, the rows it had instead.
fn data(recording: &Recording) -> Option<DataSource> {
    let data = shared("HARNESS_DATA", "data");
    if !data.is_dir() {
        eprintln!("SKIPPED: no {} (set HARNESS_DATA)", data.display());
        return None;
    }
    let with_shots = data.with_file_name("data-fewshot");
    let stands_in = recording.shots > 0 && ["hellaswag", "winogrande"].contains(&&*recording.task);
    Some(DataSource::new(if stands_in {
        vec![with_shots, data]
    } else {
        vec![data]
    }))
}

fn asks_as_recorded(task: &Task, recording: &Recording) {
    let options = RequestOptions {
        num_fewshot: Some(recording.shots),
        ..RequestOptions::default()
    };
    let requests = task.requests(&options).unwrap();
    let text = std::fs::read_to_string(&recording.file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(requests.len(), lines.len(), "{}", recording.task);
    for (document, line) in requests.iter().zip(&lines) {
        let hashes: Vec<String> = document
            .requests
            .iter()
            .map(|request| sha256(&json!(request.arguments())))
            .collect();
        assert_eq!(
            (
                json!(document.doc_id),
                json!(hashes),
                &json!(document.target)
            ),
            (
                line["doc_id"].clone(),
                line["sha256"].clone(),
                &line["target"]
            ),
            "{}: {:#?}",
            recording.task,
            document.requests
        );
    }
}

#[test]
fn every_recorded_request_is_asked() {
    let library = library();
    for recording in recordings() {
        let spec = library
            .resolve(std::slice::from_ref(&recording.task))
            .unwrap()
            .remove(0);
        let Some(data) = data(&recording) else { return };
        asks_as_recorded(&Task::load(spec, &data).unwrap(), &recording);
    }
}

/// Two tasks have no hashes recorded, but the first documents' requests themselves.
#[test]
fn the_requests_of_recorded_samples_are_asked() {
    for task in ["truthfulqa_gen", "wikitext"] {
        let file =
            shared("HARNESS_GOLDEN", "golden").join(format!("lm-eval/{task}.0shot.samples.jsonl"));
        let Ok(text) = std::fs::read_to_string(&file) else {
            eprintln!("SKIPPED: no {} (set HARNESS_GOLDEN)", file.display());
            return;
        };
        let recording = Recording {
            task: task.to_owned(),
            shots: 0,
            file,
        };
        let Some(data) = data(&recording) else { return };
        let spec = library().resolve(&[task.to_owned()]).unwrap().remove(0);
        let task = Task::load(spec, &data).unwrap();
        let requests = task.requests(&RequestOptions::default()).unwrap();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let document = &requests[line["doc_id"].as_u64().unwrap() as usize];
            let asked: Vec<Value> = document
                .requests
                .iter()
                .map(|request| json!(request.arguments()))
                .collect();
            assert_eq!(json!(asked), line["arguments"], "{}", recording.task);
        }
    }
}

#[test]
fn every_file_is_right_and_needs_no_python() {
    let validation = library()
        .validate(&[], &DataSource::default(), None)
        .unwrap();
    assert!(validation.errors.is_empty(), "{:?}", validation.errors);
    assert!(validation.tasks.len() > 200);
    for task in validation.tasks {
        assert!(task.error.is_none(), "{}: {:?}", task.name, task.error);
        assert_eq!(task.needs, Needs::Nothing, "{}", task.name);
    }
    assert!(library().duplicates().is_empty());
}

#[test]
fn the_leaderboard_has_its_shots() {
    let selection = library().select(&["openllm".to_owned()]).unwrap();
    let [TaskNode::Group(group)] = selection.tree.as_slice() else {
        panic!("{:?}", selection.tree)
    };
    assert_eq!(group.leaves().len(), 64);
    assert_eq!(group.alias.as_deref(), Some("Open LLM Leaderboard"));
    for spec in &selection.tasks {
        let (shots, split) = match spec.task.as_str() {
            "arc_challenge" => (25, Some("train")),
            "hellaswag" => (10, Some("train")),
            "winogrande" | "gsm8k" => (5, Some("train")),
            name if name.starts_with("truthfulqa_") => (0, None),
            _ => (5, Some("dev")),
        };
        assert_eq!(
            (spec.num_fewshot, spec.fewshot_split.as_deref()),
            (Some(shots), split),
            "{}",
            spec.task
        );
    }
}

#[test]
fn mmlu_is_a_tree_of_four_categories() {
    for (name, metric, filters) in [
        ("mmlu", "acc", None),
        ("mmlu_continuation", "acc", None),
        (
            "mmlu_generative",
            "exact_match",
            Some(vec!["get_response".to_owned()]),
        ),
    ] {
        let outline = library().outline(&[name.to_owned()]).unwrap();
        let [TaskNode::Group(mmlu)] = outline.as_slice() else {
            panic!("{outline:?}")
        };
        let sizes: Vec<usize> = mmlu.groups()[1..]
            .iter()
            .map(|group| group.leaves().len())
            .collect();
        assert_eq!(sizes, [19, 13, 12, 13], "{name}");
        for group in mmlu.groups() {
            let [aggregate] = group.aggregate_metric_list.as_slice() else {
                panic!("{group:?}")
            };
            assert_eq!(
                (&*aggregate.metric, &aggregate.filter_list),
                (metric, &filters)
            );
            assert!(aggregate.weight_by_size);
        }
    }
}

/// Where lm-eval's own tasks are, ours with the same names are in the same groups and tags.
#[test]
fn groups_have_the_members_that_lm_evals_have() {
    let Some(zoo) = std::env::var_os("HARNESS_LM_EVAL_TASKS") else {
        eprintln!("SKIPPED: HARNESS_LM_EVAL_TASKS does not name lm-eval's folder of tasks");
        return;
    };
    let zoo = TaskLibrary::open(&[Path::new(&zoo).to_owned()]).unwrap();
    let ours = library();
    for name in [
        "mmlu",
        "mmlu_continuation",
        "mmlu_generative",
        "wmdp",
        "openllm",
        "truthfulqa",
    ] {
        let leaves = |library: &TaskLibrary| {
            let outline = library.outline(&[name.to_owned()]).unwrap();
            let mut leaves: Vec<String> = outline
                .iter()
                .flat_map(|node| match node {
                    TaskNode::Task(name) => vec![name.clone()],
                    TaskNode::Group(group) => {
                        group.leaves().into_iter().map(str::to_owned).collect()
                    }
                })
                .collect();
            leaves.sort();
            leaves
        };
        assert_eq!(leaves(&ours), leaves(&zoo), "{name}");
    }
}

/// Training text of a task on rows written here.
fn answers(task: &str, folder: &str, split: &str, rows: &[Value]) -> Vec<(String, String)> {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(folder.join(format!("{split}.jsonl")), lines.join("\n")).unwrap();
    let spec = library().resolve(&[task.to_owned()]).unwrap().remove(0);
    let task = Task::load(spec, &DataSource::new(vec![data.path().to_owned()])).unwrap();
    let pairs = task.training_pairs(None).unwrap();
    pairs
        .into_iter()
        .map(|pair| (pair.prompt, pair.answer))
        .collect()
}

#[test]
fn forget_sets_hold_what_is_to_be_forgotten() {
    let row = |prompt: &str, safe: [bool; 2]| {
        json!({"prompt": prompt, "response_0": "Zero.", "response_1": "One.",
               "is_response_0_safe": safe[0], "is_response_1_safe": safe[1]})
    };
    let rows = [
        row("both", [false, false]),
        row("first", [false, true]),
        row("none", [true, true]),
    ];
    let pku = "PKU-Alignment__PKU-SafeRLHF/default";
    let pair = |prompt: &str, answer: &str| {
        (
            format!("### Question: {prompt}\n ### Answer:"),
            answer.to_owned(),
        )
    };
    assert_eq!(
        answers("pku_saferlhf_0", pku, "train", &rows),
        [pair("both", " Zero."), pair("first", " Zero.")]
    );
    assert_eq!(
        answers("pku_saferlhf_1", pku, "train", &rows),
        [pair("both", " One.")]
    );

    let row = json!({"Problem": "two and two ?", "options": "a ) 3 , b ) 4", "Rationale": "it is 4 \n", "correct": "b"});
    assert_eq!(
        answers("mathqa_forget", "regisss__math_qa/default", "train", &[row]),
        [(
            "Question: two and two ?\nOptions: a ) 3 , b ) 4\nAnswer:".to_owned(),
            " it is 4".to_owned()
        )]
    );
    let row = json!({"question": "Which one?\n", "choices": ["this", "that"], "answer": 1});
    assert_eq!(
        answers("wmdp_bio_forget", "cais__wmdp/wmdp-bio", "test", &[row]),
        [(
            "Question: Which one?\nAnswer:".to_owned(),
            " that".to_owned()
        )]
    );
}

#[test]
fn questions_on_paragraphs_are_asked_after_them() {
    let row = json!({"context": "Rome lies on the Tiber.", "question": "Where is Rome?",
                     "answers": {"text": ["on the Tiber", "Tiber"], "answer_start": [10, 17]}});
    let asked = |answer: &str| {
        format!("### Question: Rome lies on the Tiber. Where is Rome?\n ### {answer}:")
    };
    let pair = |prompt: String, answer: &str| (prompt, answer.to_owned());
    let piaf = "AgentPublic__piaf/default";
    assert_eq!(
        answers("piaf", piaf, "train", std::slice::from_ref(&row)),
        [pair(asked("Réponse"), " on the Tiber")]
    );
    let squad = "rajpurkar__squad/default";
    assert_eq!(
        answers("squad_retain", squad, "train", &[row]),
        [pair(asked("Answer"), " on the Tiber")]
    );
    let row = json!({"input": "1 + 1 =", "output": "2"});
    let symbolic = "sail__symbolic-instruction-tuning/default";
    assert_eq!(
        answers("symbolic_instruction_tuning", symbolic, "train", &[row]),
        [pair("### Question: 1 + 1 = ### Answer:".to_owned(), " 2")]
    );
    let row = json!({"question": "What is it?", "best_answer": "A thing.", "correct_answers": ["A thing."],
                     "incorrect_answers": ["Nothing."]});
    let truthful = "truthfulqa__truthful_qa/generation";
    assert_eq!(
        answers("truthfulqa_retain", truthful, "validation", &[row]),
        [pair(
            "### Question: What is it?\n ### Answer:".to_owned(),
            " A thing."
        )]
    );
}
