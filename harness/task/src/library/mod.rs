//! The tasks, groups and tags below some folders, found by name; a broken file breaks nothing but itself.

mod glob;
mod index;
mod resolve;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::TaskError;
use crate::yaml::Position;

/// An index of task YAMLs. See [`TaskLibrary::open`] and [`TaskLibrary::resolve`].
#[derive(Debug, Default)]
pub struct TaskLibrary {
    entries: BTreeMap<String, Entry>,
    tags: BTreeMap<String, Vec<String>>,
    broken: Vec<BrokenFile>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
enum Entry {
    /// A task, and its file.
    Task(PathBuf),
    /// A group.
    Group(Group),
}

/// A group, not yet expanded.
#[derive(Clone, Debug)]
struct Group {
    name: String,
    at: Position,
    members: Vec<(String, Position)>,
}

/// A file that could not be read, with the names that its text seems to define.
#[derive(Clone, Debug)]
struct BrokenFile {
    path: PathBuf,
    names: Vec<String>,
    error: Arc<TaskError>,
}

impl TaskLibrary {
    /// Indexes every `*.yaml` below the folders. A name in a later folder wins over an earlier one; within one folder the
    /// first file in path order wins. Files that define no task and no group are passed over, as upstream.
    ///
    /// # Errors
    /// Where a folder cannot be listed. Broken files are kept for [`TaskLibrary::resolve`] and [`TaskLibrary::broken`].
    pub fn open(roots: &[PathBuf]) -> Result<Self, TaskError> {
        let mut library = Self::default();
        for root in roots {
            library.index_root(root)?;
        }
        Ok(library)
    }

    /// Names of tasks and their files, in order of name.
    pub fn tasks(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Task(path) => Some((name.as_str(), path.as_path())),
            Entry::Group(_) => None,
        })
    }

    /// Names of groups and of their members, in order of name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Group(group) => Some((
                name.as_str(),
                group
                    .members
                    .iter()
                    .map(|(member, _)| member.as_str())
                    .collect(),
            )),
            Entry::Task(_) => None,
        })
    }

    /// Tags and the tasks that have them, in order of name.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.tags
            .iter()
            .map(|(tag, tasks)| (tag.as_str(), tasks.as_slice()))
    }

    /// Files that cannot be used, and why.
    pub fn broken(&self) -> impl Iterator<Item = (&Path, &TaskError)> {
        self.broken
            .iter()
            .map(|file| (file.path.as_path(), file.error.as_ref()))
    }

    /// Every name that can be asked for.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.entries
            .keys()
            .chain(self.tags.keys())
            .map(String::as_str)
    }
}
