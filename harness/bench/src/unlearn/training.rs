//! The unlearning loop of the child: batches by role, the method's loss, one optimiser step after the other.

use std::cell::RefCell;
use std::path::Path;
use std::time::Instant;

use harness_engine::Encoder;
use harness_host::{MethodInstance, Need, Role, StepLoss};
use harness_model::Model;
use harness_model::train::{AdamW, AdamWOptions, GradientSet, Optimizer as _, Schedule};

use super::job::{StepRecord, UnlearnJob};
use super::model_step::ModelStep;
use super::remembered::Remembered;
use super::role_data::RoleData;
use super::trainee::Trainee;
use crate::error::Result;

/// A model being unlearned.
pub(super) struct Unlearning {
    instance: MethodInstance,
    trainee: Trainee,
    /// What the frozen original has said of documents, for methods that compare with it.
    remembered: Remembered,
    data: RoleData,
    optimizer: AdamW,
    gradients: GradientSet,
    schedule: Schedule,
    seed: u64,
}

impl Unlearning {
    pub(super) fn new(
        job: &UnlearnJob,
        model: Model,
        instance: MethodInstance,
        needs: &dyn Fn(Need) -> bool,
    ) -> Result<Self> {
        let encoder = Encoder::new(model.tokenizer.clone(), model.spec.max_positions);
        let data = RoleData::new(job, &encoder, needs)?;
        let trainee = Trainee::new(model, &job.training, needs(Need::Reference))?;
        let options = AdamWOptions {
            weight_decay: job.training.weight_decay,
            max_gradient_norm: job.training.max_gradient_norm,
            ..AdamWOptions::default()
        };
        let schedule = Schedule {
            peak: job.training.learning_rate,
            warmup_steps: job.training.warmup_steps,
            total_steps: job.training.steps,
            kind: job.training.schedule,
        };
        let gradients = GradientSet::new(trainee.variables());
        let optimizer = AdamW::new(trainee.variables().clone(), options);
        Ok(Self {
            instance,
            trainee,
            remembered: Remembered::default(),
            data,
            optimizer,
            gradients,
            schedule,
            seed: job.training.seed,
        })
    }

    /// Takes step number `step`, counted from 0; also gives the method's messages.
    pub(super) fn step(&mut self, step: usize) -> Result<(StepRecord, Vec<String>)> {
        let start = Instant::now();
        self.data.advance()?;
        self.trainee.begin_step(step);
        let original = self.trainee.original();
        let remembered = |role: Role| {
            let known = self.remembered.token_logprobs(original?, role, &self.data);
            known.map_err(candle_core::Error::wrap).transpose()
        };
        let source = ModelStep {
            policy: self.trainee.decoder(),
            reference: original,
            batches: self.data.batches(),
            remembered: Some(&remembered),
            progress: [
                step as f64,
                self.schedule.total_steps as f64,
                self.data.epoch(),
            ],
            seed: self.seed,
            random: None,
            passes: RefCell::default(),
        };
        let reference_before = self.remembered.tokens();
        let StepLoss {
            loss,
            value,
            logged,
            messages,
        } = self.instance.loss(&source)?;
        let (tokens, reference_tokens) = {
            let passes = source.passes.borrow();
            let looked_up = self.remembered.tokens() - reference_before;
            (passes.tokens, passes.reference_tokens + looked_up)
        };
        let learning_rate = self.schedule.rate(step);
        self.gradients.clear();
        self.gradients.add_backward(&loss)?;
        let gradient_norm = self.optimizer.step(&self.gradients, learning_rate)?;
        let record = StepRecord {
            step: step + 1,
            loss: f64::from(value),
            parts: logged.into_iter().collect(),
            learning_rate,
            gradient_norm,
            forget_documents: self.data.documents(Role::Forget).to_vec(),
            retain_documents: self.data.documents(Role::Retain).to_vec(),
            tokens,
            reference_tokens,
            seconds: start.elapsed().as_secs_f64(),
        };
        Ok((record, messages.into_iter().map(|(_, text)| text).collect()))
    }

    /// Writes the model as it is now into `directory`.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        self.trainee.write(directory)
    }
}
