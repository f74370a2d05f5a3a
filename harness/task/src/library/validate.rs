//! Whether task files are right, without a model: every YAML is read, every key typed, every template compiled, every group
//! expanded, and every task tried out whose rows are at hand. Python code is counted, and run only where there is a bridge.

use std::path::PathBuf;
use std::sync::Arc;

use harness_data::DataSource;
use rayon::prelude::*;

use super::expand::{Expansion, Leaf};
use super::{Entry, TaskLibrary, TaskNode};
use crate::spec::task_spec;
use crate::trial::{Outcome, Trial, try_out};
use crate::yaml::{Loader, Mapping, Position};
use crate::{Hooks, TaskError};

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
    /// How far it could be tried out; `None` where there is an error.
    pub trial: Option<Trial>,
    /// What is no mistake, and yet hardly meant.
    pub warnings: Vec<String>,
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
    /// What is strange about groups, with file and line, and was read as upstream reads it.
    pub warnings: Vec<String>,
}

impl TaskLibrary {
    /// Validates what names stand for; without names, all that the library has, broken files included. Tasks are tried out on
    /// the rows that `source` has, those with Python functions where there are `hooks`.
    ///
    /// # Errors
    /// Where a name stands for nothing. What is wrong with task files is the result, no error.
    pub fn validate(
        &self,
        names: &[String],
        source: &DataSource,
        hooks: Option<&Arc<dyn Hooks>>,
    ) -> Result<Validation, TaskError> {
        let mut validation = Validation::default();
        let leaves = if names.is_empty() {
            self.all_leaves(&mut validation)
        } else {
            let (tree, expansion) = self.expand(names)?;
            validation.groups = tree.iter().map(|node| node.groups().len()).sum();
            validation.add_warnings(&tree);
            expansion.leaves
        };
        let loader = Loader::default();
        validation.tasks = leaves
            .par_iter()
            .map(|leaf| validated(leaf, &loader, source, hooks))
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
                Ok(nodes) => {
                    validation.add_warnings(&nodes);
                    leaves.extend(expansion.leaves.into_iter().filter(Leaf::is_inline));
                }
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

impl Validation {
    fn add_warnings(&mut self, nodes: &[TaskNode]) {
        let groups = nodes.iter().flat_map(TaskNode::groups);
        for warning in groups.flat_map(|group| &group.warnings) {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
    }
}

fn validated(
    leaf: &Leaf,
    loader: &Loader,
    source: &DataSource,
    hooks: Option<&Arc<dyn Hooks>>,
) -> ValidatedTask {
    let mut task = ValidatedTask {
        name: leaf.name.clone(),
        file: leaf.file.clone(),
        needs: Needs::Nothing,
        error: None,
        trial: None,
        warnings: Vec::new(),
    };
    let outcome = leaf.mapping(loader).and_then(|mapping| {
        if mapping.get("class").is_some_and(|node| !node.is_null()) {
            // A class does everything itself: what else its YAML says is between the two.
            task.needs = Needs::PythonClass;
            return Ok(Outcome::untried("a Python class is not run"));
        }
        let spec = task_spec(&mapping, &leaf.file)?;
        if !spec.python_hooks.is_empty() {
            task.needs = Needs::PythonHooks;
        }
        try_out(spec, source, hooks.cloned()).map_err(|error| placed(error, &mapping, leaf))
    });
    match outcome {
        Ok(outcome) => {
            task.trial = Some(outcome.trial);
            task.warnings = outcome.warnings;
        }
        Err(error) => task.error = Some(error),
    }
    task
}

/// Gives an error the place of the key that it is about, or else the task's file.
fn placed(error: TaskError, mapping: &Mapping, leaf: &Leaf) -> TaskError {
    if error.position().is_some() {
        return error;
    }
    let key = match &error {
        TaskError::Template { key, .. } => mapping.get(key),
        _ => None,
    };
    let at = key.map_or_else(|| Position::start_of(&leaf.file), |node| node.at.clone());
    let source = Box::new(error);
    TaskError::Placed { at, source }
}
