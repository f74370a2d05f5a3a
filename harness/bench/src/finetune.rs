//! Fine-tuning on answers: the loop behind pre-training the demo's models and behind relearning. Knows no methods.

use harness_model::train::{
    AdamW, AdamWOptions, AnswerBatch, GradientSet, Optimizer as _, Schedule,
};
use harness_model::{Decoder, DecoderSpec, Weights};

use crate::answers::AnswerSet;
use crate::error::{BenchError, Result};
use crate::order::EpochOrder;

/// A model in training on one set of answers.
pub(crate) struct FineTuner<'a> {
    set: &'a AnswerSet,
    weights: Weights,
    decoder: Decoder,
    optimizer: AdamW,
    gradients: GradientSet,
    order: EpochOrder,
    schedule: Schedule,
    batch_size: usize,
    steps: usize,
}

/// What one step saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FineTuningStep {
    /// Mean negative log-likelihood of the batch's answer tokens before the update, in nats.
    pub(crate) loss: f64,
    /// Tokens that went through the model.
    pub(crate) tokens: usize,
}

impl<'a> FineTuner<'a> {
    /// Starts from a copy of `weights`.
    pub(crate) fn new(
        spec: &DecoderSpec,
        weights: &Weights,
        set: &'a AnswerSet,
        batch_size: usize,
        schedule: Schedule,
        seed: u64,
    ) -> Result<Self> {
        set.require_batch(batch_size)?;
        let (weights, variables) = weights.trainable()?;
        let decoder = Decoder::new(spec.clone(), &weights)?;
        let gradients = GradientSet::new(&variables);
        let optimizer = AdamW::new(variables, AdamWOptions::default());
        let order = EpochOrder::new(set.pairs.len(), seed);
        Ok(Self {
            set,
            weights,
            decoder,
            optimizer,
            gradients,
            order,
            schedule,
            batch_size,
            steps: 0,
        })
    }

    /// With less memory and more time for each step.
    pub(crate) fn with_activation_checkpoints(self) -> Result<Self> {
        Ok(Self {
            decoder: self.decoder.with_activation_checkpoints()?,
            ..self
        })
    }

    /// Takes one step on the next batch.
    pub(crate) fn step(&mut self) -> Result<FineTuningStep> {
        let documents = self.order.batch(self.batch_size);
        let batch = AnswerBatch::new(documents.iter().map(|&document| &self.set.pairs[document]));
        let loss = batch.logprobs(&self.decoder)?.mean_all()?.neg()?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            let message = format!(
                "task {}: the training loss became {value} in step {}",
                self.set.name,
                self.steps + 1
            );
            return Err(BenchError::Diverged(message));
        }
        self.gradients.clear();
        self.gradients.add_backward(&loss)?;
        self.optimizer
            .step(&self.gradients, self.schedule.rate(self.steps))?;
        self.steps += 1;
        Ok(FineTuningStep {
            loss: value,
            tokens: batch.tokens(),
        })
    }

    /// The weights as they are now; they go on changing with further steps.
    pub(crate) fn weights(&self) -> &Weights {
        &self.weights
    }
}
