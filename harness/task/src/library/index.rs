//! Reading the YAML files below a folder into the index: names, tags and members only; nothing is typed yet.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{BrokenFile, Entry, Group, TaskLibrary};
use crate::TaskError;
use crate::yaml::{Mapping, Node, NodeValue, load_with_includes};

/// What one file defines.
pub(super) enum Definition {
    Task { name: String, tags: Vec<String> },
    Group(Group),
    Nothing,
}

impl TaskLibrary {
    pub(super) fn index_root(&mut self, root: &Path) -> Result<(), TaskError> {
        let mut files = Vec::new();
        collect_yaml_files(root, &mut files)?;
        files.sort();
        let mut seen = BTreeSet::new();
        for path in files {
            match load_with_includes(&path).and_then(|mapping| definition(&mapping)) {
                Ok(definition) => self.add(definition, path, &mut seen),
                Err(error) => self.broken.push(BrokenFile {
                    names: apparent_names(&path),
                    path,
                    error: Arc::new(error),
                }),
            }
        }
        Ok(())
    }

    /// `seen`: the names of this root, whose first definition stays.
    fn add(&mut self, definition: Definition, path: PathBuf, seen: &mut BTreeSet<String>) {
        match definition {
            Definition::Task { name, tags } if seen.insert(name.clone()) => {
                for tag in tags {
                    let tasks = self.tags.entry(tag).or_default();
                    if let Err(place) = tasks.binary_search(&name) {
                        tasks.insert(place, name.clone());
                    }
                }
                self.entries.insert(name, Entry::Task(path));
            }
            Definition::Group(group) if seen.insert(group.name.clone()) => {
                self.entries.insert(group.name.clone(), Entry::Group(group));
            }
            Definition::Task { .. } | Definition::Group(_) | Definition::Nothing => {}
        }
    }
}

fn collect_yaml_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), TaskError> {
    let failed = |source| TaskError::Io {
        path: folder.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        // Links to folders are not followed, so there are no endless ones.
        if entry.file_type().map_err(failed)?.is_dir() {
            if name != "__pycache__" && name != ".ipynb_checkpoints" {
                collect_yaml_files(&path, files)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// What a map defines: lm-eval's order of keys is `group`, then `task`.
pub(super) fn definition(mapping: &Mapping) -> Result<Definition, TaskError> {
    if let Some(group) = mapping.get("group") {
        return self::group(mapping, group).map(Definition::Group);
    }
    match mapping.get("task") {
        None => Ok(Definition::Nothing),
        Some(task) => match task.as_str() {
            Some(name) => Ok(Definition::Task {
                name: name.to_owned(),
                tags: tags(mapping)?,
            }),
            None => Err(task.wrong_type("task", "a name, as there is no `group`")),
        },
    }
}

fn tags(mapping: &Mapping) -> Result<Vec<String>, TaskError> {
    let Some(node) = mapping.get("tag").filter(|node| !node.is_null()) else {
        return Ok(Vec::new());
    };
    let tag = |item: &Node| {
        item.as_str()
            .map(str::to_owned)
            .ok_or_else(|| item.wrong_type("tag", "names"))
    };
    node.items_or_self().iter().map(tag).collect()
}

fn group(mapping: &Mapping, group: &Node) -> Result<Group, TaskError> {
    let Some(name) = group.as_str() else {
        return Err(group.wrong_type("group", "a name"));
    };
    for (key, at, _) in mapping.iter() {
        if ![
            "group",
            "group_alias",
            "task",
            "aggregate_metric_list",
            "metadata",
        ]
        .contains(&key)
        {
            let what = format!("`{key}` in a group, to override it in all members,");
            return Err(TaskError::Unsupported {
                at: at.clone(),
                what,
                instead: "; set it in the tasks",
            });
        }
    }
    let Some(task) = mapping.get("task") else {
        let message = format!("group `{name}` needs the key `task`, its members");
        return Err(TaskError::Yaml {
            at: group.at.clone(),
            message,
        });
    };
    let members = task
        .items_or_self()
        .iter()
        .map(member)
        .collect::<Result<_, _>>()?;
    Ok(Group {
        name: name.to_owned(),
        at: group.at.clone(),
        members,
    })
}

fn member(item: &Node) -> Result<(String, crate::yaml::Position), TaskError> {
    match (&item.value, item.as_str()) {
        (_, Some(name)) => Ok((name.to_owned(), item.at.clone())),
        (NodeValue::Mapping(_), None) => {
            let what = "a group member with overrides".to_owned();
            Err(TaskError::Unsupported {
                at: item.at.clone(),
                what,
                instead: "; write it as a task of its own",
            })
        }
        _ => Err(item.wrong_type("task", "names")),
    }
}

/// Names that a file which cannot be parsed seems to define, so that asking for one shows what is wrong with it.
fn apparent_names(path: &Path) -> Vec<String> {
    let text = std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let written = text.lines().filter_map(|line| {
        line.strip_prefix("task:")
            .or_else(|| line.strip_prefix("group:"))
    });
    let written = written.map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    written
        .chain(stem)
        .filter(|name| !name.is_empty())
        .collect()
}
