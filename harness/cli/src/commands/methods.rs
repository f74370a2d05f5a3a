//! `harness methods`: what can be run, and whether a library is fit to be.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use harness_bench::unlearn::find_method;
use harness_conformance::{Answer, Recordings, check, models_beside};
use harness_host::{MethodDescription, MethodPath, Need};
use harness_report::{Align, Table};

use crate::locations::{method_folders, nothing_in};
use crate::options::{require_folders, seconds, worker};

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
        /// Seconds that a library may take to say what it is
        #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
        timeout: Duration,
    },
    /// Check a library against the contract, and with recordings against other implementations
    Check(Check),
}

/// What a library is checked with.
#[derive(Args)]
struct Check {
    /// The library
    #[arg(value_name = "LIB")]
    library: PathBuf,
    /// Option that the method cannot run without (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Folder of recorded losses, such as golden/unlearning
    #[arg(long, value_name = "DIR")]
    golden: Option<PathBuf>,
    /// Folder of the small models that were recorded; beside the recordings' folder if it is not said
    #[arg(long, value_name = "DIR", requires = "golden")]
    models: Option<PathBuf>,
    /// Load the library in this process (internal)
    #[arg(long, hide = true)]
    in_process: bool,
}

impl Methods {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::List {
                method_path,
                timeout,
            } => list(&method_path, timeout),
            Action::Check(check) if check.in_process => check.run(),
            Action::Check(check) => check.run_in_child(),
        }
    }
}

impl Check {
    fn run(&self) -> Result<()> {
        if let Some(golden) = &self.golden {
            require_folders("--golden", std::slice::from_ref(golden))?;
        }
        let recordings = self.golden.as_ref().map(|golden| Recordings {
            golden: golden.clone(),
            models: self.models.clone().unwrap_or_else(|| models_beside(golden)),
        });
        let findings = check(&self.library, &self.settings, recordings.as_ref())?;
        let failures = findings
            .iter()
            .filter(|finding| finding.is_failure())
            .count();
        let mut table = Table::new(&[
            ("", Align::Left),
            ("Question", Align::Left),
            ("Answer", Align::Left),
        ]);
        for finding in findings {
            let (mark, answer) = match finding.answer {
                Answer::Passed(answer) => ("ok", answer),
                Answer::Failed(answer) => ("FAILED", answer),
                Answer::Skipped(answer) => ("skipped", answer),
            };
            table.push(vec![mark.into(), finding.question, answer]);
        }
        crate::output::print(&table.plain())?;
        if failures > 0 {
            let library = self.library.display();
            anyhow::bail!("method library {library}: {failures} checks failed");
        }
        Ok(())
    }

    /// Runs the same command in a child, which a crash of the library may end.
    fn run_in_child(&self) -> Result<()> {
        let library = self.library.display();
        let status = Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .arg("--in-process")
            .status()?;
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => std::process::exit(code),
            None => anyhow::bail!(
                "method library {library}: the process checking it crashed ({status})"
            ),
        }
    }
}

fn list(method_path: &[PathBuf], timeout: Duration) -> Result<()> {
    let mut worker = worker()?;
    worker.limits.describe = timeout;
    let mut table = Table::new(&[
        ("Method", Align::Left),
        ("Version", Align::Left),
        ("Retain set", Align::Left),
        ("Options", Align::Left),
        ("What it is", Align::Left),
    ]);
    let folders = method_folders(method_path)?;
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
