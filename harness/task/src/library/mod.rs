//! The tasks, groups and tags below some folders, found by name; a broken file breaks nothing but itself.

mod cache;
mod definition;
mod expand;
mod glob;
mod group;
mod index;
mod schema;
mod select;
mod validate;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::TaskError;

pub use group::{AggregateMetric, GroupNode, TaskNode};
pub use schema::json_schema;
pub use select::Selection;
pub use validate::{Needs, ValidatedTask, Validation};

/// An index of task YAMLs. See [`TaskLibrary::open`] and [`TaskLibrary::select`].
#[derive(Debug, Default)]
pub struct TaskLibrary {
    entries: BTreeMap<String, Entry>,
    broken: Vec<BrokenFile>,
    duplicates: Vec<Duplicate>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
enum Entry {
    Task(PathBuf),
    Group(PathBuf),
    /// The tasks that have the tag.
    Tag(BTreeSet<String>),
}

/// A file that could not be read, with the names that its text seems to define.
#[derive(Clone, Debug)]
struct BrokenFile {
    path: PathBuf,
    names: Vec<String>,
    error: Arc<TaskError>,
}

/// Two files of one folder that define the same name.
#[derive(Clone, Debug)]
pub struct Duplicate {
    /// The name.
    pub name: String,
    /// The first file in order of path, which is used.
    pub used: PathBuf,
    /// The other one.
    pub passed_over: PathBuf,
}

impl TaskLibrary {
    /// Indexes every `*.yaml` below the folders. A name in a later folder wins over an earlier one; within one folder the
    /// first file in path order wins. Files that define no task and no group are passed over, as upstream.
    ///
    /// # Errors
    /// Where a folder cannot be listed. Broken files are kept for [`TaskLibrary::select`] and [`TaskLibrary::broken`].
    pub fn open(roots: &[PathBuf]) -> Result<Self, TaskError> {
        Self::open_with_cache(roots, None)
    }

    /// As [`TaskLibrary::open`]; the index of large folders is kept below `cache`, so that the next run need not read their
    /// files again.
    ///
    /// # Errors
    /// As [`TaskLibrary::open`]; never on account of the cache.
    pub fn open_with_cache(roots: &[PathBuf], cache: Option<&Path>) -> Result<Self, TaskError> {
        let mut library = Self::default();
        for root in roots {
            library.index_root(root, cache)?;
        }
        Ok(library)
    }

    /// Names of tasks and their files, in order of name.
    pub fn tasks(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Task(path) => Some((name.as_str(), path.as_path())),
            _ => None,
        })
    }

    /// Names of groups and their files, in order of name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Group(path) => Some((name.as_str(), path.as_path())),
            _ => None,
        })
    }

    /// Tags and the tasks that have them, all in order of name.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Tag(tasks) => Some((name.as_str(), tasks.iter().map(String::as_str).collect())),
            _ => None,
        })
    }

    /// Files that cannot be used, and why.
    pub fn broken(&self) -> impl Iterator<Item = (&Path, &TaskError)> {
        self.broken
            .iter()
            .map(|file| (file.path.as_path(), file.error.as_ref()))
    }

    /// Names that two files of one folder define.
    pub fn duplicates(&self) -> &[Duplicate] {
        &self.duplicates
    }

    /// Every name that can be asked for.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    fn unknown(&self, name: &str) -> TaskError {
        let seems_to_define = |file: &&BrokenFile| file.names.iter().any(|known| known == name);
        match self.broken.iter().find(seems_to_define) {
            Some(broken) => TaskError::BrokenTask {
                name: name.to_owned(),
                source: Arc::clone(&broken.error),
            },
            None => TaskError::UnknownTask {
                name: name.to_owned(),
                hint: harness_spelling::hint(name, self.names()),
            },
        }
    }
}
