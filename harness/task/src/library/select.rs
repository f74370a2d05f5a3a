//! What a user asks for: names, patterns, YAML files, patterns over files, folders. The result has the groups as trees for
//! tables and aggregates, and every task once, typed, in the order asked.

use std::path::{Path, PathBuf};

use super::expand::Expansion;
use super::index::has_yaml_name;
use super::{TaskLibrary, TaskNode, glob};
use crate::spec::task_spec;
use crate::yaml::Mapping;
use crate::{TaskError, TaskSpec};

/// The tasks that were asked for.
#[derive(Clone, Debug)]
pub struct Selection {
    /// What was asked for, in that order, without what another item contains already.
    pub tree: Vec<TaskNode>,
    /// Every task of the trees once, in order.
    pub tasks: Vec<TaskSpec>,
}

impl TaskLibrary {
    /// The tasks that names, fnmatch patterns, tags, groups, YAML files and folders of YAML files stand for. A name of the
    /// library wins over a folder of that name.
    ///
    /// # Errors
    /// On a name that stands for nothing, on a broken file, on a task that groups set in different ways, and on everything
    /// in a task that is not implemented.
    pub fn select(&self, names: &[String]) -> Result<Selection, TaskError> {
        let (tree, expansion) = self.expand(names)?;
        let typed = expansion
            .leaves
            .iter()
            .map(|leaf| task_spec(&leaf.mapping(&expansion.loader)?, &leaf.file));
        Ok(Selection {
            tasks: typed.collect::<Result<_, _>>()?,
            tree,
        })
    }

    /// As [`TaskLibrary::select`], for callers that need no groups.
    ///
    /// # Errors
    /// As [`TaskLibrary::select`].
    pub fn resolve(&self, names: &[String]) -> Result<Vec<TaskSpec>, TaskError> {
        self.select(names).map(|selection| selection.tasks)
    }

    /// The groups and tasks that names stand for; no task file is read, so it is cheap and needs only the names to be right.
    ///
    /// # Errors
    /// As [`TaskLibrary::select`], but for what is inside a task.
    pub fn outline(&self, names: &[String]) -> Result<Vec<TaskNode>, TaskError> {
        self.expand(names).map(|(tree, _)| tree)
    }

    pub(super) fn expand(
        &self,
        names: &[String],
    ) -> Result<(Vec<TaskNode>, Expansion<'_>), TaskError> {
        let mut expansion = Expansion::of(self);
        let mut tree = Vec::new();
        for name in names {
            tree.extend(self.find(name, &mut expansion)?);
        }
        Ok((without_repetitions(tree), expansion))
    }

    fn find(&self, name: &str, expansion: &mut Expansion) -> Result<Vec<TaskNode>, TaskError> {
        let path = Path::new(name);
        let is_registered = self.entries.contains_key(name);
        if has_yaml_name(path) && !is_registered {
            let files = if glob::is_pattern(name) && !path.exists() {
                files_matching(name)?
            } else {
                vec![path.to_owned()]
            };
            return files.iter().map(|file| expansion.file(file)).collect();
        }
        if glob::is_pattern(name) && !is_registered {
            return self.find_pattern(name, expansion);
        }
        if !is_registered && path.is_dir() {
            let files = yaml_files(path)?;
            return files.iter().map(|file| expansion.file(file)).collect();
        }
        expansion.name(name, &Mapping::default())
    }

    fn find_pattern(
        &self,
        pattern: &str,
        expansion: &mut Expansion,
    ) -> Result<Vec<TaskNode>, TaskError> {
        let matching = self.names().filter(|name| glob::matches(pattern, name));
        let nodes = matching.map(|name| expansion.name(name, &Mapping::default()));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?.concat();
        if nodes.is_empty() {
            return Err(nothing_matches(pattern, "name"));
        }
        Ok(nodes)
    }
}

fn nothing_matches(pattern: &str, kind: &str) -> TaskError {
    TaskError::UnknownTask {
        name: pattern.to_owned(),
        hint: format!(" (no {kind} matches)"),
    }
}

/// The YAML files of one folder, in order of name.
fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let entries = std::fs::read_dir(folder).map_err(|source| TaskError::Io {
        path: folder.to_owned(),
        source,
    })?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| has_yaml_name(path));
    files.sort();
    Ok(files)
}

/// The files that a pattern over paths matches, part by part, in order of path; as a shell, it passes over hidden ones.
fn files_matching(pattern: &str) -> Result<Vec<PathBuf>, TaskError> {
    let mut found = vec![PathBuf::new()];
    for part in Path::new(pattern) {
        let part_name = part.to_string_lossy();
        found = if glob::is_pattern(&part_name) {
            found
                .iter()
                .flat_map(|folder| children_matching(folder, &part_name))
                .collect()
        } else {
            found.iter().map(|folder| folder.join(part)).collect()
        };
    }
    found.retain(|path| path.is_file());
    found.sort();
    if found.is_empty() {
        return Err(nothing_matches(pattern, "file"));
    }
    Ok(found)
}

fn children_matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let here = Path::new(".");
    let listed = if folder.as_os_str().is_empty() {
        here
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(listed) else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter(|name| {
            let name = name.to_string_lossy();
            glob::matches(pattern, &name) && (pattern.starts_with('.') || !name.starts_with('.'))
        })
        .map(|name| folder.join(name))
        .collect()
}

/// Leaves out what is there twice, and what a group that was asked for contains.
fn without_repetitions(tree: Vec<TaskNode>) -> Vec<TaskNode> {
    let mut below = std::collections::BTreeSet::new();
    for node in &tree {
        if let TaskNode::Group(group) = node {
            below.extend(group.leaves().into_iter().map(str::to_owned));
            below.extend(group.groups()[1..].iter().map(|group| group.name.clone()));
        }
    }
    let mut kept: Vec<TaskNode> = Vec::new();
    for node in tree {
        let name = node.name();
        if !below.contains(name) && !kept.iter().any(|known| known.name() == name) {
            kept.push(node);
        }
    }
    kept
}
