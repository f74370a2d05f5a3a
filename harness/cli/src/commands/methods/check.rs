//! `harness methods check`: whether a library is fit to be run. Whatever it fails is named with the reason; it refuses to stop at the first.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use harness_conformance::{Answer, Finding, Recordings, check, models_beside};
use harness_report::{Align, Table};

use super::Named;
use crate::options::require_folders;

/// What a library is checked with.
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    named: Named,
    /// Option that the method cannot run without (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Folder of recorded losses, such as golden/unlearning
    #[arg(long, value_name = "DIR")]
    golden: Option<PathBuf>,
    /// Folder of the small models that were recorded; beside the recordings' folder if it is not said
    #[arg(long, value_name = "DIR", requires = "golden")]
    models: Option<PathBuf>,
}

impl Check {
    pub(super) fn run(&self) -> Result<()> {
        if let Some(golden) = &self.golden {
            require_folders("--golden", std::slice::from_ref(golden))?;
        }
        self.named.in_child(|library| self.check(library))
    }

    fn check(&self, library: &Path) -> Result<()> {
        let recordings = self.golden.as_ref().map(|golden| Recordings {
            golden: golden.clone(),
            models: self.models.clone().unwrap_or_else(|| models_beside(golden)),
        });
        let findings = check(library, &self.settings, recordings.as_ref())?;
        let failures = findings.iter().filter(|finding| finding.is_failure());
        let failures = failures.count();
        crate::output::print(&table(findings).plain())?;
        if failures == 0 {
            return Ok(());
        }
        let checks = if failures == 1 { "check" } else { "checks" };
        let library = library.display();
        anyhow::bail!("method library {library}: {failures} {checks} failed");
    }
}

fn table(findings: Vec<Finding>) -> Table {
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
    table
}
