//! `harness tasks validate`: reads task files as a run would, without data and without a model, and says with file and line
//! what is wrong. Python code is counted, never run.

use std::fmt::Write;

use anyhow::Result;
use clap::Args;
use harness_task::{Needs, TaskError, ValidatedTask, Validation};

use super::{Folders, count};
use crate::exit::Refused;

/// Check task files: every key, every include, every group
#[derive(Args)]
pub(super) struct Validate {
    /// Tasks, groups, tags, patterns, YAML files or folders; everything, if none is named
    #[arg(value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// As NAMES, under lm-eval's name
    #[arg(long, short = 't', value_name = "NAMES", value_delimiter = ',')]
    tasks: Vec<String>,
    #[command(flatten)]
    folders: Folders,
}

impl Validate {
    pub(super) fn run(self) -> Result<()> {
        let library = self.folders.library()?;
        let names: Vec<String> = self.names.into_iter().chain(self.tasks).collect();
        let validation = library.validate(&names)?;
        let mut text = String::new();
        let mistakes = mistakes(&validation);
        for mistake in &mistakes {
            writeln!(text, "{mistake}")?;
        }
        for duplicate in library.duplicates() {
            let (used, passed_over) = (duplicate.used.display(), duplicate.passed_over.display());
            writeln!(
                text,
                "note: `{}` is defined twice: {used} is used, {passed_over} is not",
                duplicate.name
            )?;
        }
        text += &summary(&validation);
        crate::output::print(&text)?;
        match mistakes.len() {
            0 => Ok(()),
            number => {
                let message = format!("{} in task files", count(number, "mistake"));
                Err(Refused(message).into())
            }
        }
    }
}

fn is_unsupported(error: &TaskError) -> bool {
    matches!(error, TaskError::Unsupported { .. })
}

/// One thing that is wrong, and how many tasks and groups it spoils.
struct Mistake<'a> {
    error: &'a TaskError,
    spoils: usize,
}

impl std::fmt::Display for Mistake<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.error)?;
        if self.spoils > 1 {
            write!(f, " (and {} more for the same reason)", self.spoils - 1)?;
        }
        match self.error.excerpt() {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
    }
}

/// What is wrong, as against what is right but not built here; each place in a file once.
fn mistakes(validation: &Validation) -> Vec<Mistake<'_>> {
    let of_tasks = validation
        .tasks
        .iter()
        .filter_map(|task| task.error.as_ref());
    let mut mistakes: Vec<Mistake> = Vec::new();
    for error in of_tasks.chain(&validation.errors) {
        if is_unsupported(error) {
            continue;
        }
        let same_place = |known: &&mut Mistake| {
            error
                .position()
                .is_some_and(|at| known.error.position() == Some(at))
        };
        match mistakes.iter_mut().find(same_place) {
            Some(known) => known.spoils += 1,
            None => mistakes.push(Mistake { error, spoils: 1 }),
        }
    }
    mistakes
}

fn summary(validation: &Validation) -> String {
    let unsupported: Vec<&TaskError> = validation
        .tasks
        .iter()
        .filter_map(|task| task.error.as_ref())
        .filter(|error| is_unsupported(error))
        .collect();
    let needing = |needs| {
        let counted = |task: &&ValidatedTask| task.needs == needs && task.error.is_none();
        validation.tasks.iter().filter(counted).count()
    };
    let mut lines = vec![
        format!(
            "{}, {}",
            count(validation.tasks.len(), "task"),
            count(validation.groups, "group")
        ),
        format!(
            "  {} need nothing but this program",
            needing(Needs::Nothing)
        ),
        format!(
            "  {} need Python functions (!function)",
            needing(Needs::PythonHooks)
        ),
        format!("  {} need a Python class", needing(Needs::PythonClass)),
    ];
    if !unsupported.is_empty() {
        lines.push(format!(
            "  {} ask for what is not built yet:",
            unsupported.len()
        ));
        let groups = grouped(&unsupported).into_iter();
        lines.extend(
            groups.map(|(what, number, first)| format!("    {number} × {what}, first in {first}")),
        );
    }
    lines.join("\n") + "\n"
}

/// What is not built, how many tasks ask for it, and the first place; the most frequent first.
fn grouped(errors: &[&TaskError]) -> Vec<(String, usize, String)> {
    let mut groups: Vec<(String, usize, String)> = Vec::new();
    for error in errors {
        let TaskError::Unsupported { at, what, .. } = error else {
            continue;
        };
        match groups.iter_mut().find(|(known, ..)| known == what) {
            Some((_, number, _)) => *number += 1,
            None => groups.push((what.clone(), 1, at.to_string())),
        }
    }
    groups.sort_by_key(|(_, number, _)| std::cmp::Reverse(*number));
    groups
}
