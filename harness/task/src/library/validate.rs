//! Whether task files are right, without data and without a model: every YAML is read, every key typed, every group
//! expanded. Python code is counted, never run.

use std::path::PathBuf;

use rayon::prelude::*;

use super::expand::{Expansion, Leaf};
use super::{Entry, TaskLibrary};
use crate::TaskError;
use crate::spec::task_spec;
use crate::yaml::{Loader, Mapping};

/// What a task needs beyond this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Python functions, which its YAML names with `!function`.
    PythonHooks,
    /// A Python class, which its YAML names with `class`.
    PythonClass,
}

/// What was found out about one task.
#[derive(Debug)]
pub struct ValidatedTask {
    /// Its name.
    pub name: String,
    /// Its YAML file.
    pub file: PathBuf,
    /// What it needs; nothing, where that cannot be told.
    pub needs: Needs,
    /// Why it cannot be used, apart from its Python code. [`TaskError::Unsupported`]: the file is right, but asks for what
    /// is not implemented.
    pub error: Option<TaskError>,
}

/// What was found out about a library, or a part of it.
#[derive(Debug, Default)]
pub struct Validation {
    /// Every task once.
    pub tasks: Vec<ValidatedTask>,
    /// Number of groups that were expanded.
    pub groups: usize,
    /// What is wrong with groups, and with files whose names are unknown.
    pub errors: Vec<TaskError>,
}

impl TaskLibrary {
    /// Validates what names stand for; without names, all that the library has, broken files included.
    ///
    /// # Errors
    /// Where a name stands for nothing. What is wrong with task files is the result, no error.
    pub fn validate(&self, names: &[String]) -> Result<Validation, TaskError> {
        let mut validation = Validation::default();
        let leaves = if names.is_empty() {
            self.all_leaves(&mut validation)
        } else {
            let (tree, expansion) = self.expand(names)?;
            validation.groups = tree.iter().map(|node| node.groups().len()).sum();
            expansion.leaves
        };
        let loader = Loader::default();
        validation.tasks = leaves
            .par_iter()
            .map(|leaf| validated(leaf, &loader))
            .collect();
        Ok(validation)
    }

    fn all_leaves(&self, validation: &mut Validation) -> Vec<Leaf> {
        let mut expansion = Expansion::of(self);
        let nothing = Mapping::default();
        for (name, entry) in &self.entries {
            match entry {
                Entry::Task(_) => {
                    let found = expansion.name(name, &nothing);
                    validation.errors.extend(found.err());
                }
                Entry::Group(_) => validation.groups += 1,
                Entry::Tag(_) => {}
            }
        }
        let mut leaves = expansion.leaves;
        for (name, _) in self.groups() {
            let mut expansion = Expansion::of(self);
            match expansion.name(name, &nothing) {
                // Tasks of the library are there already, under the settings of their own file.
                Ok(_) => leaves.extend(expansion.leaves.into_iter().filter(Leaf::is_inline)),
                Err(error) => validation.errors.push(error),
            }
        }
        let broken = self.broken.iter().map(|file| TaskError::BrokenTask {
            name: file.names.first().cloned().unwrap_or_default(),
            source: std::sync::Arc::clone(&file.error),
        });
        validation.errors.extend(broken);
        leaves
    }
}

fn validated(leaf: &Leaf, loader: &Loader) -> ValidatedTask {
    let task = |needs, error| ValidatedTask {
        name: leaf.name.clone(),
        file: leaf.file.clone(),
        needs,
        error,
    };
    let mapping = match leaf.mapping(loader) {
        Ok(mapping) => mapping,
        Err(error) => return task(Needs::Nothing, Some(error)),
    };
    if mapping.get("class").is_some_and(|node| !node.is_null()) {
        // A class does everything itself: what else its YAML says is between the two.
        return task(Needs::PythonClass, None);
    }
    match task_spec(&mapping, &leaf.file) {
        Ok(spec) if spec.python_hooks.is_empty() => task(Needs::Nothing, None),
        Ok(_) => task(Needs::PythonHooks, None),
        Err(error) => task(Needs::Nothing, Some(error)),
    }
}
