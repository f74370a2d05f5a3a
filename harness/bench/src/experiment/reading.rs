//! From an experiment's YAML to its values: files that extend each other, keys at file and line, paths from the file's folder.
//! Refuses keys that it does not know, with the nearest one.

use std::path::Path;

use harness_task::TaskError;
use harness_task::yaml::{Mapping, Node, NodeValue, parse};
use serde::Deserialize;

use super::relearn_spec::RelearnSpec;
use super::spec::ExperimentSpec;
use crate::error::{BenchError, Result};

/// Keys of the whole and of its parts.
const KEYS: &[&str] = &[
    "name",
    "model",
    "oracle",
    "oracle_twin",
    "finetune",
    "forget",
    "paraphrased",
    "holdout",
    "truth_ratio",
    "forget_choice",
    "neutral",
    "retain",
    "utility",
    "limits",
    "methods",
    "seeds",
    "unlearn",
    "relearn",
    "rounding",
    "noise",
    "questions",
    "fluency",
    "gradient_norms",
    "extends",
];
const METHOD_KEYS: &[&str] = &["method", "name", "set", "learning_rates", "steps"];
const PARTS: &[(&str, &[&str])] = &[
    ("limits", &["forget", "retain", "neutral", "utility"]),
    (
        "finetune",
        &[
            "base",
            "epochs",
            "learning_rate",
            "batch_size",
            "warmup_steps",
            "schedule",
            "weight_decay",
            "max_grad_norm",
            "lora_rank",
            "activation_checkpoints",
            "seed",
            "twin",
        ],
    ),
    (
        "unlearn",
        &[
            "steps",
            "batch_size",
            "learning_rates",
            "warmup_steps",
            "weight_decay",
            "max_grad_norm",
            "checkpoints",
            "keep_checkpoints",
        ],
    ),
    ("relearn", RelearnSpec::KEYS),
];
/// Files that extend each other may be so many.
const DEEPEST: usize = 16;

impl ExperimentSpec {
    /// Reads a file and the files that it extends.
    ///
    /// # Errors
    /// On files that cannot be read, unknown keys and values of the wrong kind.
    pub fn read(file: &Path) -> Result<Self> {
        let keys = read_keys(file, DEEPEST)?;
        let node = Node {
            at: harness_task::yaml::Position::start_of(file),
            tag: None,
            value: NodeValue::Mapping(keys),
        };
        let mut spec = Self::deserialize(node.to_json())
            .map_err(|error| BenchError::Request(format!("{}: {error}", file.display())))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        for path in spec.models_mut() {
            if folder.join(&*path).exists() {
                *path = folder.join(&*path);
            }
        }
        if spec.name.is_empty() {
            spec.name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
        }
        spec.check(&file.display().to_string())?;
        Ok(spec)
    }
}

fn read_keys(file: &Path, depth: usize) -> Result<Mapping> {
    if depth == 0 {
        let message = format!(
            "{}: `extends` goes in a circle, or {DEEPEST} files deep",
            file.display()
        );
        return Err(BenchError::Request(message));
    }
    let text = std::fs::read_to_string(file).map_err(|error| {
        let hint = harness_spelling::path_hint(file);
        BenchError::Request(format!("{}: {error}{hint}", file.display()))
    })?;
    let node = parse(&text, file)?;
    let NodeValue::Mapping(mut keys) = node.value else {
        let message = format!(
            "{}: an experiment is a map of keys, not {}",
            file.display(),
            node.kind()
        );
        return Err(BenchError::Request(message));
    };
    check_keys(&keys, KEYS)?;
    for &(part, known) in PARTS {
        if let Some(NodeValue::Mapping(part)) = keys.get(part).map(|node| &node.value) {
            check_keys(part, known)?;
        }
    }
    for method in keys.get("methods").map_or(&[][..], Node::items_or_self) {
        if let NodeValue::Mapping(method) = &method.value {
            check_keys(method, METHOD_KEYS)?;
        }
    }
    let Some(base) = keys.remove("extends") else {
        return Ok(keys);
    };
    let name = base.as_str().ok_or_else(|| {
        BenchError::Request(format!("{}: `extends` takes the path of a file", base.at))
    })?;
    let mut whole = read_keys(&base.at.folder().join(name), depth - 1)?;
    for &(part, _) in PARTS {
        if let (Some(own), Some(mut inherited)) = (keys.remove(part), whole.remove(part)) {
            merge(&mut inherited, own.clone());
            keys.set(part.to_owned(), own.at, inherited);
        }
    }
    whole.overlay(keys);
    Ok(whole)
}

/// A part's own keys over the inherited ones.
fn merge(inherited: &mut Node, own: Node) {
    match (&mut inherited.value, own.value) {
        (NodeValue::Mapping(inherited), NodeValue::Mapping(own)) => inherited.overlay(own),
        (inherited, own) => *inherited = own,
    }
}

fn check_keys(keys: &Mapping, known: &[&str]) -> Result<()> {
    match keys.iter().find(|(key, ..)| !known.contains(key)) {
        None => Ok(()),
        Some((key, at, _)) => Err(TaskError::UnknownKey {
            at: at.clone(),
            key: key.to_owned(),
            hint: harness_spelling::hint(key, known.iter().copied()),
        }
        .into()),
    }
}
