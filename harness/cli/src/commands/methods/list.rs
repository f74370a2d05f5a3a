//! `harness methods list`: every method on the search path. A library that is refused stays in the list, with the reason.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use harness_bench::unlearn::find_method;
use harness_host::{MethodDescription, MethodPath, Need, OptionDescription};
use harness_report::{Align, Table};

use crate::locations::{method_folders, nothing_in};
use crate::options::{seconds, worker};

/// Where is looked.
#[derive(Args)]
pub(super) struct List {
    /// Folder with further method libraries (repeatable)
    #[arg(long, value_name = "DIR")]
    method_path: Vec<PathBuf>,
    /// Seconds that a library may take to say what it is
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    timeout: Duration,
}

impl List {
    pub(super) fn run(&self) -> Result<()> {
        let mut worker = worker()?;
        worker.limits.describe = self.timeout;
        let mut table = Table::new(&[
            ("Method", Align::Left),
            ("Version", Align::Left),
            ("Retain set", Align::Left),
            ("Options", Align::Left),
            ("What it is", Align::Left),
        ]);
        let folders = method_folders(&self.method_path)?;
        let path = MethodPath::new(folders.clone());
        let ids = path.list()?.into_keys();
        if ids.len() == 0 {
            return Err(nothing_in("method library", &folders));
        }
        for id in ids {
            table.push(match find_method(&worker, &path, &id) {
                Ok((_, description)) => row(&description),
                Err(error) => [id, String::new(), String::new(), String::new()]
                    .into_iter()
                    .chain([format!("refused: {error}")])
                    .collect(),
            });
        }
        crate::output::print(&table.plain())
    }
}

fn row(description: &MethodDescription) -> Vec<String> {
    let option = |option: &OptionDescription| format!("{}={}", option.name, option.default);
    let options: Vec<String> = description.options.iter().map(option).collect();
    let takes_retain = description.needs(Need::Retain);
    vec![
        description.id.clone(),
        description.version.clone(),
        if takes_retain { "yes" } else { "no" }.into(),
        options.join(" "),
        description.summary.clone(),
    ]
}
