//! `harness tasks validate`: reads task files as a run would, tries them out on rows that are at hand, without a model and
//! without a network, and says with file and line what is wrong. Python code is counted, and run only if it is trusted.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use clap::Args;
use harness_python::PythonSettings;
use harness_task::{Needs, TaskError, Trial, ValidatedTask, Validation};

use super::{DataFolders, Folders, count};
use crate::commands::eval::hooks;
use crate::dataset_hub::DatasetHub;
use crate::exit::Refused;
use crate::options::truth;

/// Tasks that are named one by one where they could not be tried out; of more, the first.
const NAMED: usize = 8;

/// Check task files: every key, include, template and group; and with rows at hand, prompts, filters and metrics
#[derive(Args)]
pub(super) struct Validate {
    /// Tasks, groups, tags, patterns, YAML files or folders; everything, if none is named
    #[arg(value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// As NAMES, under lm-eval's name
    #[arg(long, short = 't', value_name = "NAMES", value_delimiter = ',')]
    tasks: Vec<String>,
    /// Run the Python functions of tasks
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    trust_remote_code: Option<bool>,
    #[command(flatten)]
    data: DataFolders,
    #[command(flatten)]
    folders: Folders,
}

impl Validate {
    pub(super) fn run(self) -> Result<()> {
        let library = self.folders.library()?;
        let names: Vec<String> = self.names.into_iter().chain(self.tasks).collect();
        let source = self.data.source(DatasetHub::cache())?;
        let hooks = hooks(
            self.trust_remote_code == Some(true),
            PythonSettings::from_environment(),
        );
        let validation = library.validate(&names, &source, hooks.as_ref())?;
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
        for warning in warnings(&validation) {
            writeln!(text, "warning: {warning}")?;
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

fn warnings(validation: &Validation) -> Vec<String> {
    let of_tasks = validation.tasks.iter().flat_map(|task| {
        let place = task.file.display();
        let said = move |warning| format!("{place}: task `{}`: {warning}", task.name);
        task.warnings.iter().map(said)
    });
    validation
        .warnings
        .iter()
        .cloned()
        .chain(of_tasks)
        .collect()
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
    lines.extend(trials(validation));
    lines.join("\n") + "\n"
}

/// How many tasks were tried out, and why the others were not.
fn trials(validation: &Validation) -> Vec<String> {
    let mut rendered = 0;
    let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in &validation.tasks {
        match task.trial {
            Some(Trial::Rendered(_)) => rendered += 1,
            Some(Trial::NotRendered(reason)) => others.entry(reason).or_default().push(&task.name),
            None => {}
        }
    }
    let first = format!("  {rendered} rendered, and scored with made-up answers");
    let not_rendered = others.into_iter().map(|(reason, names)| {
        let named = names[..names.len().min(NAMED)].join(", ");
        let more = names.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!("  {} not rendered: {reason}: {named}{more}", names.len())
    });
    std::iter::once(first).chain(not_rendered).collect()
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
