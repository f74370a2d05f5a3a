//! The unlearning loop of the child: batches by role, the method's loss, one optimiser step after the other.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::Tensor;
use harness_engine::Encoder;
use harness_host::{MethodInstance, Need, Role, StepLoss};
use harness_model::train::{
    AdamW, AdamWOptions, AnswerBatch, GradientSet, Optimizer as _, Schedule,
};
use harness_model::{Decoder, Model, Weights};

use super::job::{StepRecord, UnlearnJob};
use super::model_step::ModelStep;
use super::role_data::RoleData;
use crate::error::Result;

/// A model being unlearned.
pub(super) struct Unlearning {
    instance: MethodInstance,
    weights: Weights,
    decoder: Decoder,
    /// The frozen original, for methods that compare with it.
    reference: Option<Reference>,
    data: RoleData,
    optimizer: AdamW,
    gradients: GradientSet,
    schedule: Schedule,
    seed: u64,
}

/// The frozen original with the log-probabilities it has given already: it never changes, so no document is run twice.
struct Reference {
    decoder: Decoder,
    known: RefCell<BTreeMap<(Role, usize), Vec<f32>>>,
    tokens: Cell<usize>,
}

impl Reference {
    /// Log-probabilities of the answers of a role's documents; `None` where they are not documents.
    fn token_logprobs(&self, role: Role, data: &RoleData) -> harness_model::Result<Option<Tensor>> {
        let (documents, mut known) = (data.documents(role), self.known.borrow_mut());
        let unknown = |document: &usize| !known.contains_key(&(role, *document));
        let mut missing: Vec<usize> = documents.iter().copied().filter(unknown).collect();
        missing.sort_unstable();
        missing.dedup();
        let pairs: Vec<_> = missing
            .iter()
            .filter_map(|&document| data.pair(role, document))
            .collect();
        if documents.is_empty() || pairs.len() < missing.len() {
            return Ok(None);
        }
        if !missing.is_empty() {
            let batch = AnswerBatch::new(pairs);
            self.tokens.set(self.tokens.get() + batch.tokens());
            for (document, scores) in missing.iter().zip(batch.scores(&self.decoder)?) {
                let logprobs = scores.iter().map(|score| score.logprob).collect();
                known.insert((role, *document), logprobs);
            }
        }
        let all: Vec<f32> = documents
            .iter()
            .flat_map(|&document| known[&(role, document)].clone())
            .collect();
        let count = all.len();
        Ok(Some(Tensor::from_vec(all, count, self.decoder.device())?))
    }
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
        let reference = if needs(Need::Reference) {
            Some(Reference {
                decoder: model.decoder()?,
                known: RefCell::default(),
                tokens: Cell::new(0),
            })
        } else {
            None
        };
        let (weights, variables) = model.weights.into_trainable()?;
        let mut decoder = Decoder::new(model.spec, &weights)?;
        if job.training.activation_checkpoints {
            decoder = decoder.with_activation_checkpoints()?;
        }
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
        let gradients = GradientSet::new(&variables);
        let optimizer = AdamW::new(variables, options);
        Ok(Self {
            instance,
            weights,
            decoder,
            reference,
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
        let remembered = |role: Role| {
            let known = self.reference.as_ref()?.token_logprobs(role, &self.data);
            known.map_err(candle_core::Error::wrap).transpose()
        };
        let source = ModelStep {
            policy: &self.decoder,
            reference: self.reference.as_ref().map(|reference| &reference.decoder),
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
        let reference_before = self.reference_tokens();
        let StepLoss {
            loss,
            value,
            logged,
            messages,
        } = self.instance.loss(&source)?;
        let (tokens, reference_tokens) = {
            let passes = source.passes.borrow();
            let looked_up = self.reference_tokens() - reference_before;
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

    fn reference_tokens(&self) -> usize {
        self.reference
            .as_ref()
            .map_or(0, |reference| reference.tokens.get())
    }

    /// The weights as they are now.
    pub(super) fn weights(&self) -> &Weights {
        &self.weights
    }
}
