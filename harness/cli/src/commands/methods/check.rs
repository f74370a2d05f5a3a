//! `harness methods check`: whether a library is fit to be run. Whatever it fails is named with the reason; it refuses to stop at the first.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Result;
use clap::Args;
use harness_conformance::{Answer, Event, Finding, Recordings, check, models_beside};
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
        let library = self.named.library()?;
        if self.named.in_process {
            return self.tell(&library);
        }
        let findings = findings_of_child()?;
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

    /// Checks the library in this process and writes every event as a line of JSON.
    fn tell(&self, library: &Path) -> Result<()> {
        let recordings = self.golden.as_ref().map(|golden| Recordings {
            golden: golden.clone(),
            models: self.models.clone().unwrap_or_else(|| models_beside(golden)),
        });
        let mut told = Ok(());
        let mut hear = |event: Event| {
            let line = serde_json::to_string(&event).map_err(anyhow::Error::from);
            let wrote = line.and_then(|line| crate::output::print(&(line + "\n")));
            if told.is_ok() {
                told = wrote;
            }
        };
        check(library, &self.settings, recordings.as_ref(), &mut hear)?;
        told
    }
}

/// What a child found that does the same; a crash is a finding about the question that it died of.
fn findings_of_child() -> Result<Vec<Finding>> {
    let mut child = super::same_command()?.stdout(Stdio::piped()).spawn()?;
    let (mut findings, mut open) = (Vec::new(), None);
    let lines = child.stdout.take().map(BufReader::new);
    // What a library itself prints is no event.
    for line in lines.into_iter().flat_map(BufRead::lines) {
        match serde_json::from_str(&line?) {
            Ok(Event::Asking(question)) => open = Some(question),
            Ok(Event::Found(finding)) => {
                open = None;
                findings.push(finding);
            }
            Err(_) => {}
        }
    }
    let status = child.wait()?;
    if let Some(question) = open {
        let answer = Answer::Failed(format!("the library ended the process ({status})"));
        findings.push(Finding { question, answer });
    } else if !status.success() {
        // It has said why.
        std::process::exit(status.code().unwrap_or(1));
    }
    Ok(findings)
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
