//! From what a user asks for (names, patterns, tags, groups, files) to typed tasks; each task once, in the order asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{Definition, definition};
use super::{Entry, Group, TaskLibrary, glob};

use crate::spec::task_spec;
use crate::yaml::load_with_includes;
use crate::{TaskError, TaskSpec};

/// The tasks found so far: name and file.
type Leaves = Vec<(String, PathBuf)>;

impl TaskLibrary {
    /// The tasks that names, fnmatch patterns, tags, groups, YAML files and folders of YAML files stand for.
    ///
    /// # Errors
    /// On a name that stands for nothing, on a broken file, and on everything in a task that is not implemented.
    pub fn resolve(&self, names: &[String]) -> Result<Vec<TaskSpec>, TaskError> {
        let mut leaves = Leaves::new();
        for name in names {
            self.find(name, &mut leaves)?;
        }
        leaves
            .iter()
            .map(|(_, path)| task_spec(&load_with_includes(path)?, path))
            .collect()
    }

    fn find(&self, name: &str, leaves: &mut Leaves) -> Result<(), TaskError> {
        let path = Path::new(name);
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            return self.find_in_file(path, leaves);
        }
        if glob::is_pattern(name) {
            return self.find_pattern(name, leaves);
        }
        match self.expand(name, &mut Vec::new(), leaves) {
            Err(TaskError::UnknownTask { .. }) if path.is_dir() => {
                self.find_in_folder(path, leaves)
            }
            other => other,
        }
    }

    fn find_pattern(&self, pattern: &str, leaves: &mut Leaves) -> Result<(), TaskError> {
        let mut matching = self
            .names()
            .filter(|name| glob::matches(pattern, name))
            .peekable();
        if matching.peek().is_none() {
            return Err(TaskError::UnknownTask {
                name: pattern.to_owned(),
                hint: " (no name matches)".to_owned(),
            });
        }
        let mut matching: Vec<&str> = matching.collect();
        matching.sort_unstable();
        matching
            .into_iter()
            .try_for_each(|name| self.expand(name, &mut Vec::new(), leaves))
    }

    fn find_in_folder(&self, folder: &Path, leaves: &mut Leaves) -> Result<(), TaskError> {
        let entries = std::fs::read_dir(folder).map_err(|source| TaskError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        });
        files.sort();
        files
            .iter()
            .try_for_each(|file| self.find_in_file(file, leaves))
    }

    fn find_in_file(&self, path: &Path, leaves: &mut Leaves) -> Result<(), TaskError> {
        match definition(&load_with_includes(path)?)? {
            Definition::Task { name, .. } => push(leaves, &name, path),
            Definition::Group(group) => return self.expand_group(&group, &mut Vec::new(), leaves),
            Definition::Nothing => {
                let message = "the file defines no task: the key `task` is missing".to_owned();
                return Err(TaskError::Yaml {
                    at: crate::yaml::Position::start_of(path),
                    message,
                });
            }
        }
        Ok(())
    }

    /// `trail`: the groups being expanded right now, outermost first.
    fn expand(
        &self,
        name: &str,
        trail: &mut Vec<String>,
        leaves: &mut Leaves,
    ) -> Result<(), TaskError> {
        match self.entries.get(name) {
            Some(Entry::Task(path)) => push(leaves, name, path),
            Some(Entry::Group(group)) => return self.expand_group(group, trail, leaves),
            None => match self.tags.get(name) {
                Some(tasks) => {
                    return tasks
                        .iter()
                        .try_for_each(|task| self.expand(task, trail, leaves));
                }
                None => return Err(self.unknown(name)),
            },
        }
        Ok(())
    }

    fn expand_group(
        &self,
        group: &Group,
        trail: &mut Vec<String>,
        leaves: &mut Leaves,
    ) -> Result<(), TaskError> {
        if trail.contains(&group.name) {
            let message = format!("it contains itself, through {}", trail.join(", "));
            return Err(TaskError::Group {
                at: group.at.clone(),
                group: group.name.clone(),
                message,
            });
        }
        trail.push(group.name.clone());
        for (member, at) in &group.members {
            self.expand(member, trail, leaves)
                .map_err(|error| match error {
                    TaskError::UnknownTask { name, hint } => TaskError::Group {
                        at: at.clone(),
                        group: group.name.clone(),
                        message: format!("unknown member `{name}`{hint}"),
                    },
                    other => other,
                })?;
        }
        trail.pop();
        Ok(())
    }

    fn unknown(&self, name: &str) -> TaskError {
        if let Some(broken) = self
            .broken
            .iter()
            .find(|file| file.names.iter().any(|known| known == name))
        {
            return TaskError::BrokenTask {
                name: name.to_owned(),
                source: Arc::clone(&broken.error),
            };
        }
        TaskError::UnknownTask {
            name: name.to_owned(),
            hint: harness_spelling::hint(name, self.names()),
        }
    }
}

fn push(leaves: &mut Leaves, name: &str, path: &Path) {
    if !leaves.iter().any(|(known, _)| known == name) {
        leaves.push((name.to_owned(), path.to_owned()));
    }
}
