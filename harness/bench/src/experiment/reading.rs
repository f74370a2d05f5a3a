//! From an experiment's YAML to its values: files that extend each other, keys at file and line, paths from the file's folder.
//! Refuses keys that it does not know, with the nearest one.

use std::collections::BTreeMap;
use std::path::Path;

use harness_task::TaskError;
use harness_task::yaml::{Mapping, Node, NodeValue, parse};
use serde::Deserialize;
use serde_json::Value;

use super::spec::ExperimentSpec;
use crate::error::{BenchError, Result};

/// Files that extend each other may be so many.
const DEEPEST: usize = 16;

impl ExperimentSpec {
    /// Reads a file and the files that it extends.
    ///
    /// # Errors
    /// On files that cannot be read, unknown keys and values of the wrong kind.
    pub fn read(file: &Path) -> Result<Self> {
        let keys = read_keys(file, &KnownKeys::of_the_schema(), DEEPEST)?;
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

/// The keys that there are, by the schema.
struct KnownKeys {
    whole: Vec<String>,
    /// Those of each key that is a map.
    parts: BTreeMap<String, Vec<String>>,
    method: Vec<String>,
}

impl KnownKeys {
    fn of_the_schema() -> Self {
        let schema = ExperimentSpec::schema().to_value();
        let properties = |node: &Value| -> Vec<String> {
            let properties = node["properties"].as_object();
            properties.map_or_else(Vec::new, |own| own.keys().cloned().collect())
        };
        let definition = |property: &Value| -> Vec<String> {
            let either = property["anyOf"].as_array().into_iter().flatten();
            let mut references = std::iter::once(property).chain(either);
            let name = references.find_map(|node| node["$ref"].as_str()?.strip_prefix("#/$defs/"));
            name.map_or_else(Vec::new, |name| properties(&schema["$defs"][name]))
        };
        let whole = properties(&schema);
        let parts = whole
            .iter()
            .map(|key| (key.clone(), definition(&schema["properties"][key])));
        Self {
            parts: parts.filter(|(_, keys)| !keys.is_empty()).collect(),
            method: properties(&schema["$defs"]["FullMethod"]),
            whole,
        }
    }

    fn check(&self, keys: &Mapping) -> Result<()> {
        check_keys(keys, &self.whole)?;
        for (part, known) in &self.parts {
            if let Some(NodeValue::Mapping(part)) = keys.get(part).map(|node| &node.value) {
                check_keys(part, known)?;
            }
        }
        for method in keys.get("methods").map_or(&[][..], Node::items_or_self) {
            if let NodeValue::Mapping(method) = &method.value {
                check_keys(method, &self.method)?;
            }
        }
        Ok(())
    }
}

fn read_keys(file: &Path, known: &KnownKeys, depth: usize) -> Result<Mapping> {
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
    known.check(&keys)?;
    let Some(base) = keys.remove("extends") else {
        return Ok(keys);
    };
    let name = base.as_str().ok_or_else(|| {
        BenchError::Request(format!("{}: `extends` takes the path of a file", base.at))
    })?;
    let mut whole = read_keys(&base.at.folder().join(name), known, depth - 1)?;
    for part in known.parts.keys() {
        if let (Some(own), Some(mut inherited)) = (keys.remove(part), whole.remove(part)) {
            merge(&mut inherited, own.clone());
            keys.set(part.clone(), own.at, inherited);
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

fn check_keys(keys: &Mapping, known: &[String]) -> Result<()> {
    match keys
        .iter()
        .find(|(key, ..)| !known.iter().any(|one| one == key))
    {
        None => Ok(()),
        Some((key, at, _)) => Err(TaskError::UnknownKey {
            at: at.clone(),
            key: key.to_owned(),
            hint: harness_spelling::hint(key, known.iter().map(String::as_str)),
        }
        .into()),
    }
}
