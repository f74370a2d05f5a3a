//! `harness tasks`: what can be scored.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use harness_report::{Align, Table};
use harness_task::TaskLibrary;

use crate::locations::{nothing_in, task_folders};

/// Look at tasks
#[derive(Args)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List tasks, groups and tags by name
    List {
        /// Folder with further task YAMLs (repeatable)
        #[arg(long, value_name = "DIR")]
        include_path: Vec<PathBuf>,
    },
}

impl Tasks {
    pub(crate) fn run(self) -> Result<()> {
        let Action::List { include_path } = self.action;
        let folders = task_folders(&include_path);
        let library = TaskLibrary::open(&folders)?;
        if library.tasks().next().is_none() {
            return Err(nothing_in("task", &folders));
        }
        let mut table = Table::new(&[
            ("Name", Align::Left),
            ("Kind", Align::Left),
            ("Where", Align::Left),
        ]);
        for (name, file) in library.tasks() {
            table.push(vec![
                name.to_owned(),
                "task".into(),
                file.display().to_string(),
            ]);
        }
        for (name, members) in library.groups() {
            table.push(vec![name.to_owned(), "group".into(), members.join(", ")]);
        }
        for (name, members) in library.tags() {
            table.push(vec![name.to_owned(), "tag".into(), members.join(", ")]);
        }
        for (file, error) in library.broken() {
            table.push(vec![
                file.display().to_string(),
                "broken".into(),
                error.to_string(),
            ]);
        }
        crate::output::print(&table.plain())
    }
}
