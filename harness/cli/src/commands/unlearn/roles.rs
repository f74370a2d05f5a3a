//! Options of the tasks in an unlearning run: which documents stand in which role. It refuses a role that the method wants and
//! nobody fills, and other answers that do not belong to the forget set's prompts.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::TextPair;
use harness_bench::unlearn::REFUSALS;
use harness_host::{MethodDescription, Need};
use harness_task::TaskLibrary;

use crate::exit::Refused;
use crate::options::{TaskOptions, limit};

#[derive(Args)]
#[command(next_help_heading = "Data")]
pub(super) struct RoleOptions {
    /// Task whose answers are to be forgotten
    #[arg(long, value_name = "TASK")]
    pub(super) forget: String,
    /// Task whose answers are to be kept; methods that use one need it
    #[arg(long, value_name = "TASK")]
    retain: Option<String>,
    /// Task with general prompts and answers, for methods that use such; the retain set unless given
    #[arg(long, value_name = "TASK")]
    normal: Option<String>,
    /// Task with other answers to the forget set's prompts, document by document, for methods that use such; refusals unless
    /// given
    #[arg(long, value_name = "TASK", conflicts_with = "refusals")]
    alternate: Option<String>,
    /// Refusals for methods that answer the forget prompts otherwise, one a line; the harness has a dozen of its own
    #[arg(long, value_name = "FILE")]
    refusals: Option<PathBuf>,
    /// Forget documents to use: a count, or below 1 a share
    #[arg(long, value_name = "N")]
    limit: Option<f64>,
}

/// The documents of a run. A role that the method does not want is empty.
pub(super) struct Roles {
    pub(super) forget: Vec<TextPair>,
    pub(super) retain: Vec<TextPair>,
    pub(super) retain_task: String,
    pub(super) normal: Vec<TextPair>,
    pub(super) normal_task: String,
    pub(super) alternate: Vec<TextPair>,
    pub(super) alternate_task: String,
    pub(super) refusals: Vec<String>,
}

impl RoleOptions {
    /// Loads every task that is named, also one that the method does not want: a misspelt name is a mistake all the same.
    pub(super) fn load(&self, tasks: &TaskOptions, method: &MethodDescription) -> Result<Roles> {
        let library = tasks.library()?;
        let forget = tasks.answers(&library, &self.forget, limit(self.limit)?)?;
        let wants_normal = method.needs(Need::Normal) || method.needs(Need::Mismatch);
        let wants_retain = method.needs(Need::Retain) || (wants_normal && self.normal.is_none());
        if wants_retain && self.retain.is_none() {
            let way_out = if method.needs(Need::Retain) {
                "a retain set: --retain TASK"
            } else {
                "general prompts and answers: --normal TASK, or --retain TASK for both"
            };
            return Err(Refused(format!("method {} needs {way_out}", method.id)).into());
        }
        let named = |name: &Option<String>, wanted: bool| -> Result<(String, Vec<TextPair>)> {
            let Some(name) = name else {
                return Ok(Default::default());
            };
            let pairs = tasks.answers(&library, name, None)?;
            Ok(if wanted {
                (name.clone(), pairs)
            } else {
                Default::default()
            })
        };
        let (retain_task, retain) = named(&self.retain, wants_retain)?;
        let (normal_task, normal) = named(&self.normal, wants_normal)?;
        let (alternate_task, alternate) = self.alternate(tasks, &library, &forget)?;
        let wants_alternate = method.needs(Need::Alternate);
        Ok(Roles {
            forget,
            retain,
            retain_task,
            normal,
            normal_task,
            alternate: if wants_alternate {
                alternate
            } else {
                Vec::new()
            },
            alternate_task: if wants_alternate {
                alternate_task
            } else {
                String::new()
            },
            refusals: self.refusals()?,
        })
    }

    /// Other answers, one for each document that is to be forgotten.
    fn alternate(
        &self,
        tasks: &TaskOptions,
        library: &TaskLibrary,
        forget: &[TextPair],
    ) -> Result<(String, Vec<TextPair>)> {
        let Some(name) = &self.alternate else {
            return Ok(Default::default());
        };
        let pairs = tasks.answers(library, name, limit(self.limit)?)?;
        if pairs.len() != forget.len() {
            let message = format!(
                "--alternate {name}: {} documents for the {} of {}; each needs one other answer",
                pairs.len(),
                forget.len(),
                self.forget
            );
            return Err(Refused(message).into());
        }
        let differs = |(other, own): (&TextPair, &TextPair)| other.prompt != own.prompt;
        if let Some(document) = pairs.iter().zip(forget).position(differs) {
            let message = format!(
                "--alternate {name}: document {document} has another prompt than that of {}; the order must be the same",
                self.forget
            );
            return Err(Refused(message).into());
        }
        Ok((name.clone(), pairs))
    }

    fn refusals(&self) -> Result<Vec<String>> {
        let Some(path) = &self.refusals else {
            return Ok(REFUSALS.map(str::to_owned).to_vec());
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Refused(format!("--refusals {}: {error}", path.display())))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let refusals: Vec<String> = lines.map(str::to_owned).collect();
        if refusals.is_empty() {
            return Err(Refused(format!("--refusals {}: no line in it", path.display())).into());
        }
        Ok(refusals)
    }
}
