//! `include:`: the files named come first, the file's own keys win; shallow, as lm-eval merges. Refuses cycles.

use std::path::{Path, PathBuf};

use super::{Mapping, Node, NodeValue, Position, parse};
use crate::TaskError;

/// Reads a YAML file whose top level is a map, with everything it includes.
///
/// # Errors
/// On files that cannot be read or parsed, on a top level that is no map, and on includes that lead back.
pub fn load_with_includes(file: &Path) -> Result<Mapping, TaskError> {
    load(file, &mut Vec::new())
}

/// `trail`: the files being included right now, outermost first.
fn load(file: &Path, trail: &mut Vec<PathBuf>) -> Result<Mapping, TaskError> {
    let text = std::fs::read_to_string(file).map_err(|source| TaskError::Io {
        path: file.to_owned(),
        source,
    })?;
    let mut own = top_level(parse(&text, file)?)?;
    let Some(include) = own.remove("include") else {
        return Ok(own);
    };
    trail.push(file.to_owned());
    let mut merged = Mapping::default();
    for (path, at) in included_paths(&include)? {
        let mut included = load_included(&path, &at, trail)?;
        included.remove("task_list");
        merged.overlay(included);
    }
    trail.pop();
    merged.overlay(own);
    Ok(merged)
}

fn load_included(
    path: &Path,
    at: &Position,
    trail: &mut Vec<PathBuf>,
) -> Result<Mapping, TaskError> {
    let same_file = |known: &PathBuf| match (known.canonicalize(), path.canonicalize()) {
        (Ok(known), Ok(path)) => known == path,
        _ => false,
    };
    if let Some(start) = trail.iter().position(same_file) {
        let cycle: Vec<String> = trail[start..]
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let message = format!(
            "include of {} is a cycle: {} includes it",
            path.display(),
            cycle.join(" includes ")
        );
        return Err(TaskError::Yaml {
            at: at.clone(),
            message,
        });
    }
    load(path, trail).map_err(|error| match error {
        TaskError::Io { path, source } => TaskError::Yaml {
            at: at.clone(),
            message: format!("cannot include {}: {source}", path.display()),
        },
        other => other,
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
