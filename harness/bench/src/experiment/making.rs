//! How an experiment's models come to be: given, by a method in a child process, or by noise. Finished ones are found by what
//! they came of.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use harness_host::Need;
use harness_model::{DeviceName, Model, Staging};
use serde::{Deserialize, Serialize};

use super::plan::{Making, ORIGINAL, PlannedSubject, PlannedUnlearning};
use super::record::{Cost, MachineCost, SubjectKind};
use super::run::{Experiment, Materials};
use super::spec::ExperimentSpec;
use super::trail::{TrailPoint, checkpoint_steps, has_checkpoints};
use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};
use crate::unlearn::{
    CHECKPOINTS, OptimizerOptions, REFUSALS, TrainingOptions, UnlearnJob, UnlearnSummary,
    is_interrupted, read_steps, run,
};

/// The method that adds random weights.
pub const NOISE_METHOD: &str = "noise";
/// Its option: the L2 norm of what is added over that of the weights.
const NOISE_SIZE: &str = "norm";

/// A model that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Made {
    /// Where it is; follows from the plan, so that a run directory can be moved.
    #[serde(skip)]
    pub(super) directory: PathBuf,
    pub(super) cost: Option<Cost>,
    pub(super) machine_cost: Option<MachineCost>,
    /// Loss of each step.
    pub(super) losses: Vec<f64>,
    /// L2 norm of the change over that of the original's weights.
    pub(super) relative_change: Option<f64>,
    /// What it had come to after some of its steps; a stage of its own.
    #[serde(skip)]
    pub(super) trail: Vec<TrailPoint>,
}

impl Made {
    /// A model whose making is nobody's business.
    pub(super) fn given(directory: PathBuf) -> Self {
        Self {
            directory,
            cost: None,
            machine_cost: None,
            losses: Vec::new(),
            relative_change: None,
            trail: Vec::new(),
        }
    }
}

impl PlannedUnlearning {
    /// Random weights whose L2 norm is so many times that of the model's.
    pub(super) fn noise(size: f64) -> Self {
        Self {
            method: NOISE_METHOD.into(),
            settings: vec![format!("{NOISE_SIZE}={size}")],
            learning_rate: 1.0,
            steps: 1,
        }
    }
}

impl Experiment<'_> {
    /// Makes a model, or finds it made. `changes` are the relative changes of the models before.
    pub(super) fn make(
        &self,
        planned: &PlannedSubject,
        changes: &[f64],
        observer: &mut Observer,
    ) -> Result<Made> {
        let seed = planned.seed.unwrap_or(0);
        match &planned.making {
            Making::Given(path) => Ok(Made {
                cost: (self.materials.oracle_cost).filter(|_| planned.kind == SubjectKind::Oracle),
                ..Made::given(path.clone())
            }),
            Making::FineTuning(anchor) => self.fine_tuned(planned, anchor, observer),
            Making::Unlearning(unlearning) => {
                let job = self.job(unlearning, seed)?;
                self.unlearned(planned, job, observer)
            }
            Making::Noise(times) => {
                let change = harness_metric::mean(changes).map_err(|_| {
                    let message = "noise: no method changed the model, so there is no size for it";
                    BenchError::Request(message.into())
                })?;
                let job = self.job(&PlannedUnlearning::noise(times * change), seed)?;
                self.unlearned(planned, job, observer)
            }
        }
    }

    /// A model that was made of the same `inputs` and is still there.
    pub(super) fn found_made(
        &self,
        stage: &str,
        inputs: &impl Serialize,
        directory: &Path,
    ) -> Option<Made> {
        let made = self.run.finished::<Made>(stage, inputs)?;
        directory.is_dir().then(|| Made {
            directory: directory.to_owned(),
            ..made
        })
    }

    fn unlearned(
        &self,
        planned: &PlannedSubject,
        job: UnlearnJob,
        observer: &mut Observer,
    ) -> Result<Made> {
        let identity = job.identity()?;
        let (name, directory) = (planned.file_name(), self.directory(planned));
        let (stage, wanted) = (format!("make-{name}"), checkpoint_steps(&job.training));
        // A trail that was asked for later takes the run again.
        let is_kept = has_checkpoints(&directory, &wanted)
            || self.found_trail(&name, &identity, &wanted)?.is_some();
        let found = self.found_made(&stage, &identity, &directory);
        let made = if let Some(made) = found.filter(|_| is_kept) {
            made
        } else {
            let made =
                self.newly_unlearned(job, &identity, &name, &directory, is_kept, observer)?;
            self.run.finish(&stage, &identity, &made)?;
            made
        };
        let trail = self.measured_trail(&name, &identity, &directory, &wanted, observer)?;
        if !self.spec.unlearn.keep_checkpoints {
            self.run.remove(&directory.join(CHECKPOINTS))?;
        }
        Ok(Made { trail, ..made })
    }

    fn newly_unlearned(
        &self,
        job: UnlearnJob,
        identity: &str,
        name: &str,
        directory: &Path,
        may_be_there: bool,
        observer: &mut Observer,
    ) -> Result<Made> {
        let original = job.model.clone();
        let summary = match UnlearnSummary::of_finished(directory, identity) {
            Some(summary) if may_be_there && Model::check(directory).is_ok() => summary,
            _ => self.run_job(job, identity, name, directory, observer)?,
        };
        Ok(Made {
            cost: Some(Cost {
                steps: summary.steps,
                tokens: summary.tokens + summary.reference_tokens,
                flops: summary.flops,
            }),
            machine_cost: Some(MachineCost {
                seconds: summary.seconds,
                peak_bytes: summary.peak_memory_bytes,
            }),
            losses: read_steps(directory)?
                .iter()
                .map(|step| step.loss)
                .collect(),
            relative_change: Some(relative_change(&original, directory)?),
            ..Made::given(directory.to_owned())
        })
    }

    /// Runs a job, or goes on with it where it was interrupted.
    fn run_job(
        &self,
        job: UnlearnJob,
        identity: &str,
        name: &str,
        directory: &Path,
        observer: &mut Observer,
    ) -> Result<UnlearnSummary> {
        observer(Event::StageStarted {
            name: format!("unlearn {name}"),
            total: Some(job.training.steps),
            unit: "steps",
        });
        self.run.remove(directory)?;
        if !is_interrupted(directory, identity) {
            self.run.remove(&Staging::path_of(directory))?;
        }
        let outcome = run(self.worker, job, directory, observer);
        let remark = match &outcome {
            Ok(summary) => format!("loss {:.3} → {:.3}", summary.first_loss, summary.last_loss),
            Err(_) => "failed".to_owned(),
        };
        observer(Event::StageFinished { remark });
        outcome
    }

    fn job(&self, unlearning: &PlannedUnlearning, seed: u64) -> Result<UnlearnJob> {
        let original = self.original();
        self.materials.job(self.spec, &original, unlearning, seed)
    }

    /// Where the original is, or will be.
    pub(super) fn original(&self) -> PathBuf {
        match &self.spec.model {
            Some(given) => given.clone(),
            None => self.run.join("models").join(ORIGINAL),
        }
    }

    pub(super) fn directory(&self, planned: &PlannedSubject) -> PathBuf {
        self.run.join("models").join(planned.file_name())
    }
}

impl Materials {
    /// What a method is asked for on the model at `original`.
    pub(super) fn job(
        &self,
        spec: &ExperimentSpec,
        original: &Path,
        unlearning: &PlannedUnlearning,
        seed: u64,
    ) -> Result<UnlearnJob> {
        let id = &unlearning.method;
        let (library, description) = self.methods.get(id).ok_or_else(|| {
            BenchError::Request(format!("method {id} was not looked up for this experiment"))
        })?;
        let wants = [Need::Retain, Need::Normal, Need::Mismatch];
        let wants_retain = wants.into_iter().any(|need| description.needs(need));
        if wants_retain && self.retain.is_empty() {
            let message = format!("method {id} needs a retain set: `retain: TASK`");
            return Err(BenchError::Request(message));
        }
        let unlearn = &spec.unlearn;
        Ok(UnlearnJob {
            model: original.to_owned(),
            device: DeviceName::Cpu,
            library: library.clone(),
            options: description.parse_settings(&unlearning.settings)?,
            forget_task: spec.forget.clone(),
            forget: self.forget.clone(),
            retain_task: spec.retain.clone().unwrap_or_default(),
            retain: if wants_retain {
                self.retain.clone()
            } else {
                Vec::new()
            },
            normal_task: String::new(),
            normal: Vec::new(),
            alternate_task: String::new(),
            alternate: Vec::new(),
            refusals: REFUSALS.map(str::to_owned).to_vec(),
            mismatched_answers: description.default_count("mismatched_answers"),
            training: TrainingOptions {
                steps: unlearning.steps,
                batch_size: unlearn.batch_size,
                learning_rate: unlearning.learning_rate,
                warmup_steps: unlearn.warmup_steps,
                optimizer: OptimizerOptions::adamw(unlearn.weight_decay),
                max_gradient_norm: (unlearn.max_grad_norm > 0.0).then_some(unlearn.max_grad_norm),
                seed,
                // Weights in the middle of a loop that is the method's own mean nothing.
                save_every: (unlearn.checkpoint_every(unlearning.steps))
                    .filter(|_| !description.owns_loop),
                ..TrainingOptions::default()
            },
            output: PathBuf::new(),
        })
    }
}

/// L2 norm of a model's difference from the original over that of the original.
fn relative_change(original: &Path, changed: &Path) -> Result<f64> {
    let original = Model::open(original, &Device::Cpu)?;
    let changed = Model::open(changed, &Device::Cpu)?;
    let (mut difference, mut size) = (0.0, 0.0);
    for (name, tensor) in original.weights.iter() {
        let square = |tensor: &Tensor| -> Result<f64> {
            Ok(f64::from(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?))
        };
        difference += square(&(changed.weights.get(name)? - tensor)?)?;
        size += square(tensor)?;
    }
    Ok((difference / size).sqrt())
}
