//! The unlearning loop of the child: batches by role, the method's loss, one optimiser step after the other.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::Tensor;
use harness_engine::Encoder;
use harness_host::{MethodInstance, Need, Role, StepLoss, StepSource};
use harness_model::train::{
    AdamW, AdamWOptions, AnswerBatch, GradientSet, Optimizer as _, Schedule,
};
use harness_model::{Decoder, Model, Weights};

use super::job::{StepRecord, UnlearnJob};
use crate::answers::AnswerSet;
use crate::error::{BenchError, Result};
use crate::order::EpochOrder;

/// Makes the retain set's order independent of the forget set's.
const RETAIN_STREAM: u64 = 0x5265_7461;

/// One role's documents and their order.
struct RoleData {
    set: AnswerSet,
    order: EpochOrder,
    documents: Vec<usize>,
    batch: AnswerBatch,
}

impl RoleData {
    fn new(set: AnswerSet, batch_size: usize, seed: u64) -> Result<Self> {
        set.require_batch(batch_size)?;
        let order = EpochOrder::new(set.pairs.len(), seed);
        Ok(Self {
            set,
            order,
            documents: Vec::new(),
            batch: AnswerBatch::new([]),
        })
    }

    fn advance(&mut self, batch_size: usize) {
        self.documents = self.order.batch(batch_size);
        self.batch = AnswerBatch::new(
            self.documents
                .iter()
                .map(|&document| &self.set.pairs[document]),
        );
    }
}

/// A model being unlearned.
pub(super) struct Unlearning {
    instance: MethodInstance,
    weights: Weights,
    decoder: Decoder,
    /// The frozen original, for methods that compare with it.
    reference: Option<Reference>,
    forget: RoleData,
    retain: Option<RoleData>,
    optimizer: AdamW,
    gradients: GradientSet,
    schedule: Schedule,
    batch_size: usize,
    tokens: Cell<usize>,
}

/// The frozen original with the log-probabilities it has given already: it never changes, so no document is run twice.
struct Reference {
    decoder: Decoder,
    known: RefCell<BTreeMap<(bool, usize), Vec<f32>>>,
    tokens: Cell<usize>,
}

impl Reference {
    fn token_logprobs(&self, is_retain: bool, data: &RoleData) -> harness_model::Result<Tensor> {
        let mut known = self.known.borrow_mut();
        let mut missing: Vec<usize> = data
            .documents
            .iter()
            .copied()
            .filter(|&document| !known.contains_key(&(is_retain, document)))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let batch = AnswerBatch::new(missing.iter().map(|&document| &data.set.pairs[document]));
            self.tokens.set(self.tokens.get() + batch.tokens());
            for (document, scores) in missing.iter().zip(batch.scores(&self.decoder)?) {
                let logprobs = scores.iter().map(|score| score.logprob).collect();
                known.insert((is_retain, *document), logprobs);
            }
        }
        let all: Vec<f32> = data
            .documents
            .iter()
            .flat_map(|&document| known[&(is_retain, document)].clone())
            .collect();
        let count = all.len();
        Ok(Tensor::from_vec(all, count, self.decoder.device())?)
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
        let seed = job.training.seed;
        let batch_size = job.training.batch_size;
        let forget = AnswerSet::new(&job.forget_task, &job.forget, &encoder)?;
        let forget = RoleData::new(forget, batch_size, seed)?;
        let retain = if needs(Need::Retain) {
            let retain = AnswerSet::new(&job.retain_task, &job.retain, &encoder)?;
            Some(RoleData::new(retain, batch_size, seed ^ RETAIN_STREAM)?)
        } else {
            None
        };
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
        let (batch_size, tokens) = (job.training.batch_size, Cell::new(0));
        Ok(Self {
            instance,
            weights,
            decoder,
            reference,
            forget,
            retain,
            optimizer,
            gradients,
            schedule,
            batch_size,
            tokens,
        })
    }

    /// Takes step number `step`, counted from 0; also gives the method's messages.
    pub(super) fn step(&mut self, step: usize) -> Result<(StepRecord, Vec<String>)> {
        let start = Instant::now();
        self.forget.advance(self.batch_size);
        if let Some(retain) = &mut self.retain {
            retain.advance(self.batch_size);
        }
        self.tokens.set(0);
        let reference_before = self.reference_tokens();
        let StepLoss {
            loss,
            value,
            logged,
            messages,
        } = self.instance.loss(&*self)?;
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
            forget_documents: self.forget.documents.clone(),
            retain_documents: self
                .retain
                .as_ref()
                .map(|retain| retain.documents.clone())
                .unwrap_or_default(),
            tokens: self.tokens.get(),
            reference_tokens: self.reference_tokens() - reference_before,
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

    fn data(&self, role: Role) -> Result<&RoleData> {
        let found = match role {
            Role::Forget => Some(&self.forget),
            Role::Retain => self.retain.as_ref(),
        };
        found.ok_or_else(|| {
            BenchError::Request(format!("there is no {} set in this run", role.name()))
        })
    }
}

impl StepSource for Unlearning {
    fn token_logprobs(&self, role: Role) -> candle_core::Result<Tensor> {
        let data = self.data(role).map_err(candle_core::Error::wrap)?;
        self.tokens.set(self.tokens.get() + data.batch.tokens());
        data.batch
            .logprobs(&self.decoder)
            .map_err(candle_core::Error::wrap)
    }

    fn reference_token_logprobs(&self, role: Role) -> candle_core::Result<Tensor> {
        let data = self.data(role).map_err(candle_core::Error::wrap)?;
        let Some(reference) = &self.reference else {
            candle_core::bail!("the original model is not kept in this run");
        };
        reference
            .token_logprobs(role != Role::Forget, data)
            .map_err(candle_core::Error::wrap)
    }

    fn answer_lengths(&self, role: Role) -> &[usize] {
        self.data(role)
            .map_or(&[], |data| data.batch.answer_lengths())
    }
}
