//! lm-eval's own task folder, read as lm-eval reads it: every group and tag stands for the same tasks, every YAML holds the
//! same values. Runs where `HARNESS_LM_EVAL_TASKS` names the folder `lm_eval/tasks` of lm-eval 0.4.13; what lm-eval makes of
//! it was recorded by `tests/python/record_zoo.py`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use harness_data::{DataSource, Listing, Remote, RemoteError};
use harness_task::yaml::{Node, NodeValue, parse};
use harness_task::{Needs, TaskLibrary, TaskNode, python_str};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Files that set a key twice, to two values: refused here, while lm-eval takes the later one.
const AMBIGUOUS_FILES: [&str; 3] = [
    "evalita_llm/_evalita-mp_ner-fic_group_p1.yaml",
    "turblimp/turblimp_group.yaml",
    "zhoblimp/zhoblimp_group.yaml",
];

/// Names that are refused here, or stand for fewer tasks, and why.
const REFUSED: [(&str, &str); 6] = [
    ("*", "48 tasks with a key set twice"),
    ("evalita-mp_ner", "one of them"),
    (
        "flan_held_in",
        "a task written twice in one group; upstream cannot load it either",
    ),
    (
        "kmmlu_cot_hard",
        "45 of them: `regex_pattern` twice in a template",
    ),
    ("turblimp_core", "`aggregate_metric_list` twice"),
    ("zhoblimp", "`aggregate_metric_list` twice"),
];

fn zoo() -> Option<PathBuf> {
    let folder = std::env::var_os("HARNESS_LM_EVAL_TASKS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED: HARNESS_LM_EVAL_TASKS does not name lm-eval's folder of tasks");
    }
    folder
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn digest_of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    digest(
        &(names.join(
            "
",
        ) + if names.is_empty() {
            ""
        } else {
            "
"
        }),
    )
}

/// The line of the recording that this name should have.
fn line(name: &str, nodes: &[TaskNode]) -> String {
    let (kind, children, leaves): (_, Vec<&str>, Vec<&str>) = match nodes {
        [TaskNode::Group(group)] => (
            "group",
            group.children.iter().map(TaskNode::name).collect(),
            group.leaves(),
        ),
        tasks => {
            let names: Vec<&str> = tasks.iter().map(TaskNode::name).collect();
            ("tag", names.clone(), names)
        }
    };
    format!(
        "{name}\t{kind}\t{}\t{}\t{}\t{}",
        children.len(),
        leaves.len(),
        digest_of_names(children),
        digest_of_names(leaves)
    )
}

#[test]
fn every_group_and_tag_stands_for_the_same_tasks() {
    let Some(zoo) = zoo() else { return };
    let library = TaskLibrary::open(&[zoo]).unwrap();
    let tasks: Vec<&str> = library.tasks().map(|(name, _)| name).collect();
    let all = format!(
        "*\ttask\t0\t{}\t{}\t{}",
        tasks.len(),
        digest_of_names([]),
        digest_of_names(tasks.iter().copied())
    );
    let mut wrong = Vec::new();
    let recording = include_str!("lm_eval_names.tsv");
    for expected in recording.lines() {
        let name = expected.split('\t').next().unwrap();
        let found = match name {
            "*" => all.clone(),
            _ => match library.outline(&[name.to_owned()]) {
                Ok(nodes) => line(name, &nodes),
                Err(error) => format!("{name}: {error}"),
            },
        };
        let is_refused = REFUSED.iter().any(|(start, _)| name.starts_with(start));
        if found != expected && !is_refused {
            wrong.push(format!("{expected}\n{found}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // lm-eval cannot load this one either: a member without a name.
    assert!(library.outline(&["t0_eval".to_owned()]).is_err());
}

/// As `json.dumps(value, ensure_ascii=False, sort_keys=True)`.
fn python_json(node: &Node) -> String {
    match &node.value {
        NodeValue::Scalar(Value::Number(number)) => python_str(&Value::Number(number.clone())),
        NodeValue::Scalar(value) => value.to_string(),
        NodeValue::Sequence(items) => {
            let items: Vec<String> = items.iter().map(python_json).collect();
            format!("[{}]", items.join(", "))
        }
        NodeValue::Mapping(mapping) => {
            let sorted: BTreeMap<&str, &Node> =
                mapping.iter().map(|(key, _, node)| (key, node)).collect();
            let entries: Vec<String> = sorted
                .iter()
                .map(|(key, node)| format!("{}: {}", Value::from(*key), python_json(node)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn yaml_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            yaml_files(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
}

#[test]
fn every_yaml_holds_the_same_values() {
    let Some(zoo) = zoo() else { return };
    let mut files = Vec::new();
    yaml_files(&zoo, &mut files);
    files.sort_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    let mut folders: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for file in &files {
        let relative = file.strip_prefix(&zoo).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        let json = match parse(&text, file) {
            _ if AMBIGUOUS_FILES.contains(&relative) => "AMBIGUOUS".to_owned(),
            Ok(node) => python_json(&node),
            Err(error) => error.to_string(),
        };
        let folder = relative.split('/').next().unwrap().to_owned();
        let (count, lines) = folders.entry(folder).or_default();
        *count += 1;
        writeln!(lines, "{relative} {json}").unwrap();
    }
    let differs = |line: &&str| {
        let folder = line.split('\t').next().unwrap();
        let (count, lines) = &folders[folder];
        format!("{folder}\t{count}\t{}", digest(lines)) != **line
    };
    let recording = include_str!("lm_eval_yaml.tsv").lines();
    let wrong: Vec<&str> = recording.filter(differs).collect();
    assert!(wrong.is_empty(), "these folders differ: {wrong:#?}");
}

/// Tasks of the 13,000 that are refused: a metric without an aggregation, which upstream accepts and then fails on, and four
/// that ask for metrics of Python packages. Tasks in files that set a key twice are not even listed.
const REFUSED_TASKS: [&str; 5] = [
    "darija_summarization_task",
    "mmlu_early_training",
    "polemo2_in",
    "polemo2_out",
    "wmt-ro-en-t5-prompt",
];

/// What `harness tasks validate` says of all of it.
#[test]
fn every_task_that_lm_eval_accepts_is_accepted() {
    let Some(zoo) = zoo() else { return };
    let validation = TaskLibrary::open(&[zoo])
        .unwrap()
        .validate(
            &[],
            &DataSource::default().with_remote(Box::new(Unreachable)),
            None,
        )
        .unwrap();
    let errors: Vec<String> = validation
        .tasks
        .iter()
        .filter_map(|task| Some(format!("{}: {}", task.name, task.error.as_ref()?)))
        .collect();
    let count = |needs| {
        let needing = validation.tasks.iter().filter(|task| task.needs == needs);
        needing.count()
    };
    eprintln!(
        "{} tasks, {} native, {} with hooks, {} classes, {} errors",
        validation.tasks.len(),
        count(Needs::Nothing),
        count(Needs::PythonHooks),
        count(Needs::PythonClass),
        errors.len()
    );
    let refused = validation.tasks.iter().filter(|task| task.error.is_some());
    let refused: std::collections::BTreeSet<&str> =
        refused.map(|task| task.name.as_str()).collect();
    assert_eq!(refused, REFUSED_TASKS.into(), "{errors:#?}");
}

/// A hub that has nothing, as without a network.
struct Unreachable;

impl Remote for Unreachable {
    fn list(&self, dataset: &str, _: &str) -> Result<Listing, RemoteError> {
        Err(format!("{dataset} is out of reach").into())
    }

    fn fetch(&self, dataset: &str, _: &Listing, _: &str) -> Result<PathBuf, RemoteError> {
        Err(format!("{dataset} is out of reach").into())
    }

    fn download(&self, url: &str) -> Result<PathBuf, RemoteError> {
        Err(format!("{url} is out of reach").into())
    }
}
