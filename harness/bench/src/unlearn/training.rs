//! The unlearning loop of the child: batches by role, the method's loss, one optimiser step after the other.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use harness_engine::Encoder;
use harness_host::{MethodInstance, Need, Role, StepLoss};
use harness_model::train::{GradientSet, Optimizer, Schedule};
use harness_model::{Model, PassFlops};

use super::answer_memory::AnswerMemory;
use super::job::{StepRecord, UnlearnJob};
use super::model_step::{ModelStep, SpawnedModels};
use super::optimizers;
use super::role_data::RoleData;
use super::run_state::{Progress, RunState};
use super::trainee::Trainee;
use crate::error::Result;

/// A model being unlearned.
pub(super) struct Unlearning {
    instance: MethodInstance,
    trainee: Trainee,
    /// What the frozen original has said of documents, for methods that compare with it.
    memory: AnswerMemory,
    data: RoleData,
    optimizer: Box<dyn Optimizer>,
    gradients: GradientSet,
    schedule: Schedule,
    /// Of the model in training and of the original.
    costs: [PassFlops; 2],
    accumulation: usize,
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
        let costs = trainee.costs();
        let schedule = Schedule {
            peak: job.training.learning_rate,
            warmup_steps: job.training.warmup_steps,
            total_steps: job.training.steps,
            kind: job.training.schedule,
        };
        let gradients = GradientSet::new(trainee.variables());
        let optimizer = optimizers::of_run(&job.training, trainee.variables().clone());
        Ok(Self {
            instance,
            trainee,
            memory: AnswerMemory::new(costs[1].clone()),
            data,
            optimizer,
            gradients,
            schedule,
            costs,
            accumulation: job.training.gradient_accumulation,
            seed: job.training.seed,
        })
    }

    /// Takes step number `step`, counted from 0; also gives the method's messages.
    pub(super) fn step(&mut self, step: usize) -> Result<(StepRecord, Vec<String>)> {
        let start = Instant::now();
        self.gradients.clear();
        let mut batches = BatchSum::default();
        for batch in 0..self.accumulation {
            self.add_batch(step, batch, &mut batches)?;
        }
        let learning_rate = self.schedule.rate(step);
        let gradient_norm = self.optimizer.step(&self.gradients, learning_rate)?;
        let record = StepRecord {
            step: step + 1,
            loss: batches.loss / self.accumulation as f64,
            parts: batches.mean_parts(),
            learning_rate,
            gradient_norm,
            forget_documents: batches.forget_documents,
            retain_documents: batches.retain_documents,
            tokens: batches.tokens,
            reference_tokens: batches.reference_tokens,
            flops: batches.flops,
            seconds: start.elapsed().as_secs_f64(),
        };
        Ok((record, batches.messages))
    }

    /// Adds the gradients of the next batch's share of the step's loss, which is the mean over its batches.
    fn add_batch(&mut self, step: usize, batch: usize, sum: &mut BatchSum) -> Result<()> {
        self.data.advance()?;
        self.trainee.begin_batch(step * self.accumulation + batch);
        let original = self.trainee.original();
        let remembered = |role: Role| {
            let known = self.memory.token_logprobs(original?, role, &self.data);
            known.map_err(candle_core::Error::wrap).transpose()
        };
        let source = ModelStep {
            policy: self.trainee.decoder(),
            reference: original,
            spawned: SpawnedModels::default(),
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
        let (looked_up, known_flops) = (self.memory.tokens(), self.memory.flops());
        let outcome = self.instance.loss(&source)?;
        let run = source.take_forward_flops(&self.costs) + source.backward_flops(&self.costs[0]);
        sum.flops += run + self.memory.flops() - known_flops;
        {
            let passes = source.passes.borrow();
            sum.tokens += passes.tokens;
            sum.reference_tokens += passes.reference_tokens + self.memory.tokens() - looked_up;
        }
        let documents = |role| self.data.documents(role);
        sum.forget_documents.extend(documents(Role::Forget));
        sum.retain_documents.extend(documents(Role::Retain));
        let share = if self.accumulation == 1 {
            outcome.loss.clone()
        } else {
            outcome.loss.affine(1.0 / self.accumulation as f64, 0.0)?
        };
        self.gradients.add_backward(&share)?;
        sum.add(outcome);
        Ok(())
    }

    /// Saves the run after `steps`, the records of all of its steps.
    pub(super) fn save(&self, state: &RunState, steps: &[StepRecord]) -> Result<()> {
        let progress = Progress {
            steps: steps.to_vec(),
            known_answers: self.memory.known(),
        };
        state.save(&progress, self.optimizer.as_ref())
    }

    /// Goes to where a run was when it was saved, before any step of this one.
    pub(super) fn restore(&mut self, state: &RunState, progress: &Progress) -> Result<()> {
        state.restore(progress, self.optimizer.as_mut())?;
        self.memory.restore(&progress.known_answers);
        // Orders and draws follow from the seed and the number of batches.
        for _ in 0..progress.steps.len() * self.accumulation {
            self.data.advance()?;
        }
        Ok(())
    }

    /// The model as it is now.
    pub(super) fn trainee(&self) -> &Trainee {
        &self.trainee
    }
}

/// The batches of a step.
#[derive(Default)]
struct BatchSum {
    loss: f64,
    /// Sum and number of what was logged.
    parts: BTreeMap<String, (f64, usize)>,
    messages: Vec<String>,
    forget_documents: Vec<usize>,
    retain_documents: Vec<usize>,
    tokens: usize,
    reference_tokens: usize,
    flops: f64,
}

impl BatchSum {
    fn add(&mut self, outcome: StepLoss) {
        self.loss += f64::from(outcome.value);
        for (name, value) in outcome.logged {
            let (sum, count) = self.parts.entry(name).or_default();
            *sum += value;
            *count += 1;
        }
        let texts = outcome.messages.into_iter().map(|(_, text)| text);
        self.messages.extend(texts);
    }

    fn mean_parts(&self) -> BTreeMap<String, f64> {
        let mean =
            |(name, &(sum, count)): (&String, &(f64, usize))| (name.clone(), sum / count as f64);
        self.parts.iter().map(mean).collect()
    }
}
