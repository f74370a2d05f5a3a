//! `harness report`: the scorecard and the page of experiments that were run, made again or compared. Runs no model.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use harness_bench::experiment::{ExperimentRecord, Outcome, RECORD, Scorecard, SubjectKind};
use harness_bench::relearn::AttackedModel;

use super::bench::write_outputs;
use crate::exit::Refused;
use crate::output;

/// Show experiments again: scorecard, values and report.html, of one run or of several side by side
///
/// Several runs must have the same original and forget set; their methods get the run's name in front.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  harness report runs/tofu\n  harness report runs/tofu runs/tofu-lora --output-path runs/both"
)]
pub(crate) struct Report {
    /// Run directories of `harness bench` or `harness demo`
    #[arg(value_name = "RUN", required_unless_present = "schema")]
    runs: Vec<PathBuf>,
    /// Where the files go; the run's own directory for a single run
    #[arg(long, value_name = "DIR")]
    output_path: Option<PathBuf>,
    /// Print the JSON Schema of scorecard.json and stop
    #[arg(long)]
    schema: bool,
}

impl Report {
    pub(crate) fn run(self) -> Result<()> {
        if self.schema {
            let schema = serde_json::to_string_pretty(&Scorecard::schema())?;
            return output::print(&format!("{schema}\n"));
        }
        let mut records = self.runs.iter().map(|run| Ok((run.as_path(), read(run)?)));
        let records = records.by_ref().collect::<Result<Vec<_>>>()?;
        let [first, others @ ..] = records.as_slice() else {
            return Err(Refused("name a run directory".into()).into());
        };
        let output = match (&self.output_path, others) {
            (Some(output), _) => output.clone(),
            (None, []) => first.0.to_owned(),
            (None, _) => {
                let message =
                    "several runs need a place for what they give together: --output-path DIR";
                return Err(Refused(message.into()).into());
            }
        };
        let record = match others {
            [] => first.1.clone(),
            _ => side_by_side(&records)?,
        };
        output::print(&write_outputs(&record, &output)?)
    }
}

fn read(run: &Path) -> Result<ExperimentRecord> {
    let file = run.join(RECORD);
    let text = std::fs::read_to_string(&file).map_err(|error| {
        let hint = harness_spelling::path_hint(run);
        Refused(format!(
            "{}: {error}; is it a finished run of `harness bench`?{hint}",
            file.display()
        ))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Refused(format!("{}: {error}", file.display())).into())
}

/// The anchors of the first run, and everybody's methods.
fn side_by_side(records: &[(&Path, ExperimentRecord)]) -> Result<ExperimentRecord> {
    let mut together = records[0].1.clone();
    let names: Vec<&str> = records
        .iter()
        .map(|(_, record)| record.name.as_str())
        .collect();
    together.name = names.join(" and ");
    together.subjects.clear();
    together.training.clear();
    together.attacks.clear();
    for (place, (run, record)) in records.iter().enumerate() {
        if original(record) != original(&records[0].1) {
            let message = format!(
                "{}: its original was measured otherwise than that of {}; only runs of the same original, forget set and tasks compare",
                run.display(),
                records[0].0.display()
            );
            return Err(Refused(message).into());
        }
        together.attacks.extend(attacks(record, place == 0));
        let is_shown = |kind: SubjectKind| place == 0 || kind == SubjectKind::Method;
        for subject in record
            .subjects
            .iter()
            .filter(|subject| is_shown(subject.kind))
        {
            let mut subject = subject.clone();
            if subject.kind == SubjectKind::Method {
                subject.row = format!("{}: {}", record.name, subject.row);
            }
            together.subjects.push(subject);
        }
        together
            .training
            .extend(record.training.iter().cloned().map(|mut training| {
                training.row = format!("{}: {}", record.name, training.row);
                training
            }));
    }
    Ok(together)
}

/// What was measured on the original; the attacks may differ.
fn original(record: &ExperimentRecord) -> Option<Outcome> {
    let mut subjects = record.subjects.iter();
    let found = subjects.find(|subject| subject.kind == SubjectKind::Original)?;
    let mut outcome = found.outcome.clone();
    if let Outcome::Measured(scores) = &mut outcome {
        scores.recovery = None;
    }
    Some(outcome)
}

/// What was tried on the models that are shown: methods under their new names, and the anchors of the first run.
fn attacks(record: &ExperimentRecord, is_first: bool) -> Vec<AttackedModel> {
    let is_method = |row: &str| {
        let found = record.subjects.iter().find(|subject| subject.row == row);
        found.is_some_and(|subject| subject.kind == SubjectKind::Method)
    };
    let mut shown = record.attacks.clone();
    shown.retain(|attacked| is_first || is_method(&attacked.model));
    for attacked in &mut shown {
        if is_method(&attacked.model) {
            attacked.model = format!("{}: {}", record.name, attacked.model);
        }
    }
    shown
}
