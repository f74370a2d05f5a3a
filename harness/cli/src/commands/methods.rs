//! `harness methods`: what can be run.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use harness_bench::unlearn::find_method;
use harness_host::{MethodDescription, MethodPath, Need};
use harness_report::{Align, Table};

use crate::locations::{method_folders, nothing_in};
use crate::options::worker;

/// Look at unlearning methods
#[derive(Args)]
pub(crate) struct Methods {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the methods on the search path, with their options
    List {
        /// Folder with further method libraries (repeatable)
        #[arg(long, value_name = "DIR")]
        method_path: Vec<PathBuf>,
    },
}

impl Methods {
    pub(crate) fn run(self) -> Result<()> {
        let Action::List { method_path } = self.action;
        let worker = worker()?;
        let mut table = Table::new(&[
            ("Method", Align::Left),
            ("Version", Align::Left),
            ("Retain set", Align::Left),
            ("Options", Align::Left),
            ("What it is", Align::Left),
        ]);
        let folders = method_folders(&method_path)?;
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
    let option =
        |option: &harness_host::OptionDescription| format!("{}={}", option.name, option.default);
    let options: Vec<String> = description.options.iter().map(option).collect();
    vec![
        description.id.clone(),
        description.version.clone(),
        if description.needs(Need::Retain) {
            "yes"
        } else {
            "no"
        }
        .into(),
        options.join(" "),
        description.summary.clone(),
    ]
}
