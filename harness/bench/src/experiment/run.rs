//! Runs an experiment: makes each model of the plan, scores it, attacks it, and keeps every outcome under the contents that it
//! came of, so that a run that was killed repeats nothing. A method that fails becomes a row that says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use harness_host::MethodDescription;
use harness_task::{RequestOptions, Task};

use super::answering::side_by_side;
use super::making::Made;
use super::measures::Measures;
use super::parallel::{Progress, in_parallel};
use super::plan::{PlannedSubject, plan};
use super::record::{Cost, ExperimentRecord, Outcome, SubjectKind, Training};
use super::spec::ExperimentSpec;
use crate::answers::TextPair;
use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};
use crate::run_directory::RunDirectory;
use crate::unlearn::WorkerCommand;

/// The record's name in the run directory.
pub const RECORD: &str = "experiment.json";

/// A method's library and what it says of itself.
pub type FoundMethod = (PathBuf, MethodDescription);

/// Everything that an experiment works on, loaded.
pub struct Materials {
    /// The forget set.
    pub forget: Vec<TextPair>,
    /// The same facts in other words.
    pub paraphrased: Vec<TextPair>,
    /// Texts like the forget set's that no model has seen.
    pub holdout: Vec<TextPair>,
    /// The retain set.
    pub retain: Vec<TextPair>,
    /// What `relearn` names as related, where it does.
    pub related: Vec<TextPair>,
    /// And as unrelated.
    pub unrelated: Vec<TextPair>,
    /// The utility tasks by the name that the experiment gives them; groups have several.
    pub utility: Vec<(String, Vec<Task>)>,
    /// Documents to take of them.
    pub utility_options: RequestOptions,
    /// What is measured besides.
    pub measures: Measures,
    /// The methods by id.
    pub methods: BTreeMap<String, FoundMethod>,
    /// What it took to make the oracle, where that is known.
    pub oracle_cost: Option<Cost>,
}

impl Materials {
    /// Refuses a holdout set that models have seen.
    ///
    /// # Errors
    /// When it shares a document with what is learnt or forgotten.
    pub fn check(&self, spec: &ExperimentSpec) -> Result<()> {
        let learnt: BTreeSet<&TextPair> = self.forget.iter().chain(&self.retain).collect();
        let mut holdout = self.holdout.iter();
        let Some(pair) = holdout.find(|pair| learnt.contains(pair)) else {
            return Ok(());
        };
        let message = format!(
            "holdout: {} has {:?}, which is in the forget or the retain set too; name texts that no model has seen, or fewer of them, `limits: {{holdout: N}}`",
            spec.holdout.as_deref().unwrap_or_default(),
            pair.prompt
        );
        Err(BenchError::Request(message))
    }
}

/// An experiment in progress.
pub struct Experiment<'a> {
    /// What is asked for.
    pub spec: &'a ExperimentSpec,
    /// What it works on.
    pub materials: &'a Materials,
    /// Where everything is kept.
    pub run: &'a RunDirectory,
    /// How a method is run where it runs alone.
    pub worker: &'a WorkerCommand,
    /// Models that are worked on at once.
    pub jobs: usize,
}

impl Experiment<'_> {
    /// Does what is not done yet and returns the record, which is also written to [`RECORD`].
    ///
    /// # Errors
    /// When an anchor cannot be measured or the run directory cannot be written. A method that fails is a row, not an error.
    pub fn run(&self, observer: &mut Observer) -> Result<ExperimentRecord> {
        let attack = self.attack_materials()?;
        let planned = plan(self.spec);
        let (mut subjects, mut directories) = (Vec::new(), Vec::new());
        let (mut training, mut changes) = (Vec::new(), Vec::new());
        for wave in planned.chunk_by(|one, next| one.wave() == next.wave()) {
            let before = subjects.len();
            let progress = Progress::new(before, planned.len(), "made and measured");
            let worker = self.worker.beside(self.jobs.min(wave.len()));
            let sharing = Experiment {
                worker: &worker,
                ..*self
            };
            let ready = in_parallel(wave, self.jobs, &progress, observer, |planned, observer| {
                sharing.ready(planned, &changes, observer)
            })?;
            for (planned, (outcome, made)) in wave.iter().zip(ready) {
                subjects.push(planned.subject(outcome, made.as_ref()));
                let change = made.as_ref().and_then(|made| made.relative_change);
                changes.extend(change.filter(|_| planned.kind == SubjectKind::Method));
                let losses = made.as_ref().map_or(&[][..], |made| &made.losses);
                training.extend((!losses.is_empty()).then(|| Training {
                    row: planned.row.clone(),
                    seed: planned.seed,
                    losses: losses.to_vec(),
                }));
                directories.push(made.map(|made| made.directory));
            }
        }
        let attacks = match &attack {
            Some(materials) => self.attack(materials, &directories, &mut subjects, observer)?,
            None => Vec::new(),
        };
        let record = ExperimentRecord {
            name: self.spec.name.clone(),
            demands: self.spec.ranking,
            facts: self.facts(),
            questions: side_by_side(self.asked(), &subjects),
            subjects,
            training,
            attacks,
        };
        self.run.write_json(RECORD, &record)?;
        Ok(record)
    }

    /// Makes and measures a model. A method that fails is an outcome.
    fn ready(
        &self,
        planned: &PlannedSubject,
        changes: &[f64],
        observer: &mut Observer,
    ) -> Result<(Outcome, Option<Made>)> {
        let is_method = planned.kind == SubjectKind::Method;
        let made = match self.make(planned, changes, observer) {
            Err(error) if is_method => {
                observer(Event::Message(format!("{}: {error}", planned.row)));
                return Ok((Outcome::Failed(error.to_string()), None));
            }
            made => made?,
        };
        let outcome = match self.measured(planned, &made.directory, observer) {
            Ok(scores) => Outcome::Measured(Box::new(scores)),
            Err(error) if is_method => Outcome::Failed(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok((outcome, Some(made)))
    }

    /// What the report says about the run.
    fn facts(&self) -> Vec<(String, String)> {
        let spec = self.spec;
        let list = |numbers: Vec<String>| numbers.join(", ");
        let documents = |pairs: &[TextPair]| format!("{} documents", pairs.len());
        let original = match (&spec.model, &spec.finetune) {
            (Some(model), _) => model.display().to_string(),
            (None, Some(own)) => format!("{}, fine-tuned", own.base.display()),
            (None, None) => String::new(),
        };
        let mut facts = vec![
            ("harness".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("model".to_owned(), original),
            (
                "forget".to_owned(),
                format!("{}, {}", spec.forget, documents(&self.materials.forget)),
            ),
            (
                "seeds".to_owned(),
                list(spec.seeds.iter().map(u64::to_string).collect()),
            ),
            ("steps".to_owned(), spec.unlearn.steps.to_string()),
            ("batch size".to_owned(), spec.unlearn.batch_size.to_string()),
            (
                "learning rates".to_owned(),
                list(
                    spec.unlearn
                        .learning_rates
                        .iter()
                        .map(|rate| format!("{rate:e}"))
                        .collect(),
                ),
            ),
        ];
        if let Some(retain) = &spec.retain {
            facts.push((
                "retain".to_owned(),
                format!("{retain}, {}", documents(&self.materials.retain)),
            ));
        }
        if !spec.utility.is_empty() {
            facts.push(("utility".to_owned(), spec.utility.join(", ")));
        }
        facts.extend(self.attack_facts());
        facts
    }
}
