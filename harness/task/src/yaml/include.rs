//! `include:`: the files named come first, the file's own keys win; shallow, as lm-eval merges. Refuses cycles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Mapping, Node, NodeValue, Position, parse};
use crate::TaskError;

/// Reads YAML files with everything they include; what several files include is parsed once. Files are taken not to change
/// during its life.
#[derive(Debug, Default)]
pub struct Loader {
    included: Mutex<BTreeMap<PathBuf, Arc<Mapping>>>,
}

/// A file's keys with those of its includes.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// All keys; `include` itself is gone.
    pub mapping: Mapping,
    /// The files included, directly or not, in the order in which they were merged.
    pub included: Vec<PathBuf>,
}

impl Loader {
    /// Reads a YAML file whose top level is a map, with everything it includes.
    ///
    /// # Errors
    /// On files that cannot be read or parsed, on a top level that is no map, and on includes that lead back.
    pub fn load(&self, file: &Path) -> Result<Loaded, TaskError> {
        let mut included = Vec::new();
        let mapping = self.merge(read(file)?, file, &mut Vec::new(), &mut included)?;
        Ok(Loaded { mapping, included })
    }

    /// Adds to a map, written somewhere in `file`, what its own key `include` names.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub fn with_includes(&self, own: Mapping, file: &Path) -> Result<Mapping, TaskError> {
        self.merge(own, file, &mut Vec::new(), &mut Vec::new())
    }

    /// `trail`: the files being included right now, outermost first.
    fn merge(
        &self,
        mut own: Mapping,
        file: &Path,
        trail: &mut Vec<PathBuf>,
        included: &mut Vec<PathBuf>,
    ) -> Result<Mapping, TaskError> {
        let Some(include) = own.remove("include") else {
            return Ok(own);
        };
        trail.push(file.to_owned());
        let mut merged = Mapping::default();
        for (path, at) in included_paths(&include)? {
            refuse_cycle(&path, &at, trail)?;
            let file_keys = self.read_included(&path, &at)?;
            let mut keys = self.merge(file_keys, &path, trail, included)?;
            keys.remove("task_list");
            merged.overlay(keys);
            included.push(path);
        }
        trail.pop();
        merged.overlay(own);
        Ok(merged)
    }

    fn read_included(&self, path: &Path, at: &Position) -> Result<Mapping, TaskError> {
        // A poisoned map holds whole entries all the same.
        let known = || self.included.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mapping) = known().get(path) {
            return Ok(mapping.as_ref().clone());
        }
        let mapping = read(path).map_err(|error| match error {
            TaskError::Io { path, source } => TaskError::Yaml {
                at: at.clone(),
                message: format!("cannot include {}: {source}", path.display()),
            },
            other => other,
        })?;
        known().insert(path.to_owned(), Arc::new(mapping.clone()));
        Ok(mapping)
    }
}

fn read(file: &Path) -> Result<Mapping, TaskError> {
    let text = std::fs::read_to_string(file).map_err(|source| TaskError::Io {
        path: file.to_owned(),
        source,
    })?;
    top_level(parse(&text, file)?)
}

/// Refuses a file that is being included right now.
fn refuse_cycle(path: &Path, at: &Position, trail: &[PathBuf]) -> Result<(), TaskError> {
    let same_file = |known: &PathBuf| match (known.canonicalize(), path.canonicalize()) {
        (Ok(known), Ok(path)) => known == path,
        _ => false,
    };
    let Some(start) = trail.iter().position(same_file) else {
        return Ok(());
    };
    let cycle: Vec<String> = trail[start..]
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let message = format!(
        "include of {} is a cycle: {} includes it",
        path.display(),
        cycle.join(" includes ")
    );
    Err(TaskError::Yaml {
        at: at.clone(),
        message,
    })
}

fn included_paths(include: &Node) -> Result<Vec<(PathBuf, Position)>, TaskError> {
    let path = |item: &Node| {
        let Some(path) = item.as_str() else {
            return Err(item.wrong_type("include", "a file name or a list of them"));
        };
        Ok((item.at.folder().join(path), item.at.clone()))
    };
    include.items_or_self().iter().map(path).collect()
}

fn top_level(node: Node) -> Result<Mapping, TaskError> {
    let kind = node.kind();
    if let NodeValue::Mapping(mapping) = node.value {
        return Ok(mapping);
    }
    let message = format!("the file is {kind}, not a map of keys");
    Err(TaskError::Yaml {
        at: node.at,
        message,
    })
}
