//! The options that say which documents are asked: a limit, or rows by task. Refuses tasks and rows that are not there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use clap::Args;
use harness_task::{RequestOptions, TaskSpec};

use crate::exit::Refused;
use crate::options::limit;

#[derive(Args)]
pub(super) struct DocumentOptions {
    /// Documents a task: a count, or below 1 a share
    #[arg(long, short = 'L', value_name = "N")]
    pub(super) limit: Option<f64>,
    /// Rows to ask, by task: {"TASK": [ROW, …]} in JSON, or a file with it; a task that is not named is asked whole
    #[arg(long, short = 'E', value_name = "JSON|FILE", conflicts_with = "limit")]
    samples: Option<String>,
}

/// Which documents of each task are asked.
pub(super) struct Documents {
    limit: Option<harness_task::Limit>,
    pub(super) rows: BTreeMap<String, BTreeSet<usize>>,
}

impl DocumentOptions {
    pub(super) fn documents(&self) -> Result<Documents> {
        Ok(Documents {
            limit: limit(self.limit)?,
            rows: self
                .samples
                .as_deref()
                .map(rows)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

impl Documents {
    /// Refuses rows of tasks that are not asked.
    pub(super) fn check(&self, tasks: &[TaskSpec]) -> Result<()> {
        let names = || tasks.iter().map(|task| task.task.as_str());
        match self
            .rows
            .keys()
            .find(|name| !names().any(|known| known == *name))
        {
            None => Ok(()),
            Some(name) => {
                let hint = harness_spelling::hint(name, names());
                Err(Refused(format!("--samples: {name} is not among the tasks{hint}")).into())
            }
        }
    }

    /// The options for one task.
    pub(super) fn of(&self, task: &TaskSpec, options: &RequestOptions) -> RequestOptions {
        RequestOptions {
            limit: self.limit,
            rows: self.rows.get(&task.task).cloned(),
            ..options.clone()
        }
    }
}

fn rows(given: &str) -> Result<BTreeMap<String, BTreeSet<usize>>> {
    let wrong = |problem: String| Refused(format!("--samples {given}: {problem}"));
    let text = if given.trim_start().starts_with(['{', '[']) {
        given.to_owned()
    } else {
        let path = Path::new(given);
        let hint = harness_spelling::path_hint(path);
        std::fs::read_to_string(path).map_err(|error| wrong(format!("{error}{hint}")))?
    };
    let form = "wanted is {\"TASK\": [ROW, …]}";
    let rows: BTreeMap<String, BTreeSet<usize>> =
        serde_json::from_str(&text).map_err(|error| wrong(format!("{error}; {form}")))?;
    match rows.iter().find(|(_, rows)| rows.is_empty()) {
        Some((task, _)) => Err(wrong(format!("no row of {task} is named")).into()),
        None => Ok(rows),
    }
}
