//! How an experiment's models come to be: given, by a method in a child process, or by noise. Finished ones are found by what
//! they came of.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use harness_engine::model_identity;
use harness_host::Need;
use harness_model::{DeviceName, Model};
use serde::{Deserialize, Serialize};

use super::plan::{Making, PlannedSubject, PlannedUnlearning};
use super::record::{Cost, MachineCost, SubjectKind};
use super::run::Experiment;
use crate::error::{BenchError, Result, io};
use crate::event::{Event, Observer};
use crate::run_directory::sha256_hex;
use crate::unlearn::{OptimizerOptions, REFUSALS, TrainingOptions, UnlearnJob, read_steps, run};

/// The method that adds random weights.
pub const NOISE_METHOD: &str = "noise";
/// Its option: the L2 norm of what is added over that of the weights.
const NOISE_SIZE: &str = "norm";

/// A model that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) directory: PathBuf,
    pub(super) cost: Option<Cost>,
    pub(super) machine_cost: Option<MachineCost>,
    /// Loss of each step.
    pub(super) losses: Vec<f64>,
    /// L2 norm of the change over that of the original's weights.
    pub(super) relative_change: Option<f64>,
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
                directory: path.clone(),
                cost: (self.materials.oracle_cost).filter(|_| planned.kind == SubjectKind::Oracle),
                machine_cost: None,
                losses: Vec::new(),
                relative_change: None,
            }),
            Making::Unlearning(unlearning) => self.unlearned(planned, unlearning, seed, observer),
            Making::Noise(times) => {
                let change = harness_metric::mean(changes).map_err(|_| {
                    let message = "noise: no method changed the model, so there is no size for it";
                    BenchError::Request(message.into())
                })?;
                let unlearning = PlannedUnlearning {
                    method: NOISE_METHOD.into(),
                    settings: vec![format!("{NOISE_SIZE}={}", times * change)],
                    learning_rate: 1.0,
                    steps: 1,
                };
                self.unlearned(planned, &unlearning, seed, observer)
            }
        }
    }

    fn unlearned(
        &self,
        planned: &PlannedSubject,
        unlearning: &PlannedUnlearning,
        seed: u64,
        observer: &mut Observer,
    ) -> Result<Made> {
        let job = self.job(unlearning, seed)?;
        let library = std::fs::read(&job.library).map_err(io(&job.library))?;
        let identity = model_identity(&[&job.model], "")?;
        let inputs = (identity.to_string(), sha256_hex(&library), &job);
        let (name, directory) = (planned.file_name(), self.directory(planned));
        let stage = format!("make-{name}");
        if let Some(made) = self.run.finished::<Made>(&stage, &inputs)
            && made.directory.is_dir()
        {
            return Ok(made);
        }
        observer(Event::StageStarted {
            name: format!("unlearn {name}"),
            total: Some(unlearning.steps),
            unit: "steps",
        });
        self.run.clear(&directory)?;
        let outcome = run(self.worker, job.clone(), &directory, observer);
        let summary = outcome.inspect_err(|_| {
            let remark = "failed".to_owned();
            observer(Event::StageFinished { remark });
        })?;
        let made = Made {
            cost: Some(Cost {
                steps: summary.steps,
                tokens: summary.tokens + summary.reference_tokens,
                flops: summary.flops,
            }),
            machine_cost: Some(MachineCost {
                seconds: summary.seconds,
                peak_bytes: summary.peak_memory_bytes,
            }),
            losses: read_steps(&directory)?
                .iter()
                .map(|step| step.loss)
                .collect(),
            relative_change: Some(self.relative_change(&directory)?),
            directory,
        };
        self.run.finish(&stage, &inputs, &made)?;
        let remark = format!("loss {:.3} → {:.3}", summary.first_loss, summary.last_loss);
        observer(Event::StageFinished { remark });
        Ok(made)
    }

    fn job(&self, unlearning: &PlannedUnlearning, seed: u64) -> Result<UnlearnJob> {
        let id = &unlearning.method;
        let (library, description) = self.materials.methods.get(id).ok_or_else(|| {
            BenchError::Request(format!("method {id} was not looked up for this experiment"))
        })?;
        let wants = [Need::Retain, Need::Normal, Need::Mismatch];
        let wants_retain = wants.into_iter().any(|need| description.needs(need));
        if wants_retain && self.materials.retain.is_empty() {
            let message = format!("method {id} needs a retain set: `retain: TASK`");
            return Err(BenchError::Request(message));
        }
        let spec = &self.spec.unlearn;
        Ok(UnlearnJob {
            model: self.spec.model.clone(),
            device: DeviceName::Cpu,
            library: library.clone(),
            options: description.parse_settings(&unlearning.settings)?,
            forget_task: self.spec.forget.clone(),
            forget: self.materials.forget.clone(),
            retain_task: self.spec.retain.clone().unwrap_or_default(),
            retain: if wants_retain {
                self.materials.retain.clone()
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
                batch_size: spec.batch_size,
                learning_rate: unlearning.learning_rate,
                warmup_steps: spec.warmup_steps,
                optimizer: OptimizerOptions::adamw(spec.weight_decay),
                max_gradient_norm: (spec.max_grad_norm > 0.0).then_some(spec.max_grad_norm),
                seed,
                ..TrainingOptions::default()
            },
            output: PathBuf::new(),
        })
    }

    fn directory(&self, planned: &PlannedSubject) -> PathBuf {
        self.run.join("models").join(planned.file_name())
    }

    /// L2 norm of a model's difference from the original over that of the original.
    fn relative_change(&self, directory: &Path) -> Result<f64> {
        let original = Model::open(&self.spec.model, &Device::Cpu)?;
        let changed = Model::open(directory, &Device::Cpu)?;
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
}
