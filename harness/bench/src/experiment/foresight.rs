//! What an experiment will hold in memory, model by model, before anything is made. It reads configs and tokenizers and refuses to
//! touch weights. A method that cannot be run is not refused here: it becomes a row that says so.

use std::collections::BTreeMap;
use std::path::Path;

use harness_engine::Encoder;
use harness_model::{Model, ModelDescription};

use super::anchors::PlannedFineTuning;
use super::plan::{Making, PlannedSubject, PlannedUnlearning};
use super::run::Materials;
use super::spec::ExperimentSpec;
use crate::answers::{AnswerSet, TextPair};
use crate::error::{BenchError, Result};
use crate::finetune::FineTuning;
use crate::unlearn::UnlearnPlan;

/// What making a model takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreseen {
    /// Nothing: it is there.
    Given,
    /// So much memory at the peak.
    Bytes(usize),
    /// It cannot be made, for this reason.
    Failure(String),
}

/// What an experiment takes.
#[derive(Clone, Debug)]
pub struct Foresight {
    /// What making each model of the plan takes, in the plan's order.
    pub models: Vec<Foreseen>,
    /// Bytes that measuring or attacking a model takes: no more than training every weight of it.
    pub attacked_bytes: usize,
}

/// Runs of a method that differ in nothing that takes memory: neither seed nor learning rate does.
type Alike<'a> = (&'a str, &'a [String], usize);

impl Foresight {
    /// Looks ahead at the models of a plan.
    ///
    /// # Errors
    /// When the original, or the base that it is to be made of, cannot be described, or a document does not fit into it.
    pub fn of(
        spec: &ExperimentSpec,
        materials: &Materials,
        subjects: &[PlannedSubject],
    ) -> Result<Self> {
        let base = spec.finetune.as_ref().map(|own| &own.base);
        let original = (spec.model.as_ref().or(base))
            .ok_or_else(|| BenchError::Request("there is no original".into()))?;
        let noise = PlannedUnlearning::noise(1.0);
        let mut view = View {
            spec,
            materials,
            original,
            known: BTreeMap::new(),
        };
        let mut models = Vec::new();
        for subject in subjects {
            let seed = subject.seed.unwrap_or(0);
            models.push(match &subject.making {
                Making::Given(_) => Foreseen::Given,
                Making::FineTuning(anchor) => view.fine_tuning(anchor)?,
                Making::Unlearning(unlearning) => view.unlearning(unlearning, seed),
                Making::Noise(_) => view.unlearning(&noise, seed),
            });
        }
        Ok(Self {
            models,
            attacked_bytes: view.attacked_bytes()?,
        })
    }

    /// The most that a job holds, whatever it is at.
    pub fn bytes_each(&self) -> usize {
        let made = self.models.iter().map(|foreseen| match foreseen {
            Foreseen::Bytes(bytes) => *bytes,
            Foreseen::Given | Foreseen::Failure(_) => 0,
        });
        made.chain([self.attacked_bytes]).max().unwrap_or(0)
    }
}

struct View<'a> {
    spec: &'a ExperimentSpec,
    materials: &'a Materials,
    /// The original, or what is of its size.
    original: &'a Path,
    known: BTreeMap<Alike<'a>, Foreseen>,
}

impl<'a> View<'a> {
    fn fine_tuning(&self, anchor: &PlannedFineTuning) -> Result<Foreseen> {
        let documents = self.materials.documents(anchor);
        let settings = &anchor.settings;
        let tuning = settings.fine_tuning(documents.len(), anchor.seed);
        fine_tuning_bytes(&settings.base, &tuning, &documents).map(Foreseen::Bytes)
    }

    fn unlearning(&mut self, unlearning: &'a PlannedUnlearning, seed: u64) -> Foreseen {
        let (method, settings) = (&unlearning.method, &unlearning.settings);
        let alike = (method.as_str(), settings.as_slice(), unlearning.steps);
        if let Some(foreseen) = self.known.get(&alike) {
            return foreseen.clone();
        }
        let plan = || {
            let job = (self.materials).job(self.spec, self.original, unlearning, seed)?;
            UnlearnPlan::of(&job, &self.materials.methods[method].1)
        };
        let foreseen = match plan() {
            Ok(plan) => Foreseen::Bytes(plan.memory.total_bytes()),
            Err(error) => Foreseen::Failure(error.to_string()),
        };
        self.known.insert(alike, foreseen.clone());
        foreseen
    }

    fn attacked_bytes(&self) -> Result<usize> {
        let (spec, materials) = (self.spec, self.materials);
        let related = if spec.relearn.related.is_some() {
            &materials.related
        } else {
            &materials.retain
        };
        let trained_on = [related, &materials.unrelated];
        let trained_on = trained_on
            .into_iter()
            .filter(|_| spec.relearn.max_steps > 0);
        let documents = std::iter::once(&materials.forget).chain(trained_on);
        let documents: Vec<TextPair> = documents.flatten().cloned().collect();
        let tuning = FineTuning {
            batch_size: spec.relearn.batch_size,
            ..FineTuning::default()
        };
        fine_tuning_bytes(self.original, &tuning, &documents)
    }
}

fn fine_tuning_bytes(base: &Path, tuning: &FineTuning, documents: &[TextPair]) -> Result<usize> {
    let ModelDescription {
        spec, tokenizer, ..
    } = Model::describe(base)?;
    let encoder = Encoder::new(tokenizer, spec.max_positions);
    let set = AnswerSet::new("training", documents, &encoder)?;
    Ok(tuning.memory(&spec, &set)?.total_bytes())
}
