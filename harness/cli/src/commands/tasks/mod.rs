//! `harness tasks`: what can be scored, what it says, whether it is right, and a first task of one's own.

mod list;
mod new;
mod show;
mod validate;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use harness_data::DataSource;
use harness_task::{TaskLibrary, json_schema};

use crate::dataset_hub::DatasetHub;
use crate::locations::{cache_folder, nothing_in, task_folders};
use crate::options::require_folders;

/// Look at tasks, check them, write new ones
#[derive(Args)]
pub(crate) struct Tasks {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(Box<show::Show>),
    Validate(validate::Validate),
    New(new::New),
    /// Print the JSON Schema of task files, for editors
    Schema,
}

/// Where to look for tasks
#[derive(Args)]
struct Folders {
    /// Folder with further task YAMLs (repeatable)
    #[arg(long, value_name = "DIR")]
    include_path: Vec<PathBuf>,
}

/// Where to look for rows
#[derive(Args)]
struct DataFolders {
    /// Folder with data sets, as `ORG__NAME`/ or ORG/NAME/ (repeatable)
    #[arg(long, value_name = "DIR")]
    data_dir: Vec<PathBuf>,
}

impl DataFolders {
    fn source(&self, hub: DatasetHub) -> Result<DataSource> {
        require_folders("--data-dir", &self.data_dir)?;
        Ok(DataSource::new(self.data_dir.clone()).with_remote(Box::new(hub)))
    }
}

impl Tasks {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::List(list) => list.run(),
            Action::Show(show) => show.run(),
            Action::Validate(validate) => validate.run(),
            Action::New(new) => new.run(),
            Action::Schema => crate::output::print(&json_schema()),
        }
    }
}

impl Folders {
    fn library(&self) -> Result<TaskLibrary> {
        require_folders("--include-path", &self.include_path)?;
        let folders = task_folders(&self.include_path);
        let library = TaskLibrary::open_with_cache(&folders, cache_folder().as_deref())?;
        if library.tasks().next().is_none() && library.broken().next().is_none() {
            return Err(nothing_in("task", &folders));
        }
        Ok(library)
    }
}

/// `1 task`, `2 tasks`.
fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}
