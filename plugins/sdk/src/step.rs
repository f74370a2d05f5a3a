//! What a method sees of a training step. It refuses tokens and weights: log-probabilities of the answers are all that a loss needs.

use std::rc::Rc;

use harness_abi::{Handle, Level, Model};

use crate::engine::Engine;
use crate::{Role, Tensor};

/// One training step. Tensors are 32-bit floats and belong to the step: one that is kept for later is useless then, and is reported.
pub struct Step {
    engine: Rc<dyn Engine>,
}

impl Step {
    pub(crate) fn new(engine: Rc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// log p(answer | prompt) of each sequence under the model being trained, the sum over its answer tokens, in nats. Shape `[batch]`.
    pub fn policy(&self, role: Role) -> Tensor {
        self.sum_per_sequence(role, &self.token_logprobs(role))
    }

    /// The same under the frozen original: constants. Shape `[batch]`. Declare [`Needs::REFERENCE`](crate::Needs::REFERENCE).
    pub fn reference(&self, role: Role) -> Tensor {
        self.sum_per_sequence(role, &self.reference_token_logprobs(role))
    }

    /// Log-probability of every answer token under the model being trained, in nats, sequences end to end. Shape `[answer tokens]`.
    pub fn token_logprobs(&self, role: Role) -> Tensor {
        self.own(self.engine.token_logprobs(Model::Policy, role))
    }

    /// The same under the frozen original: constants. Shape `[answer tokens]`. Declare [`Needs::REFERENCE`](crate::Needs::REFERENCE).
    pub fn reference_token_logprobs(&self, role: Role) -> Tensor {
        self.own(self.engine.token_logprobs(Model::Reference, role))
    }

    /// Negative log-likelihood: the mean over all answer tokens of the batch (not the mean of the sequences' means), in nats. A scalar.
    pub fn nll(&self, role: Role) -> Tensor {
        -self.token_logprobs(role).mean()
    }

    /// Number of answer tokens of each sequence. Shape `[batch]`.
    pub fn answer_tokens(&self, role: Role) -> Tensor {
        self.own(self.engine.answer_tokens(role))
    }

    /// Sums a value per answer token over each sequence: shape `[answer tokens]` to `[batch]`.
    pub fn sum_per_sequence(&self, role: Role, values: &Tensor) -> Tensor {
        self.own(self.engine.sequence_sum(role, values.handle()))
    }

    /// Averages a value per answer token over each sequence: shape `[answer tokens]` to `[batch]`.
    pub fn mean_per_sequence(&self, role: Role, values: &Tensor) -> Tensor {
        self.sum_per_sequence(role, values) / self.answer_tokens(role)
    }

    /// A constant scalar.
    pub fn constant(&self, value: f64) -> Tensor {
        self.own(self.engine.constant(&[value], &[]))
    }

    /// A constant vector. Shape `[values.len()]`.
    pub fn constants(&self, values: &[f64]) -> Tensor {
        self.own(self.engine.constant(values, &[values.len()]))
    }

    /// Records a scalar in the run's log under `name`, once a step.
    pub fn log(&self, name: &str, value: &Tensor) {
        self.engine.log_scalar(name, value.handle());
    }

    /// Tells the user something.
    pub fn info(&self, message: &str) {
        self.engine.log_message(Level::Info, message);
    }

    /// Warns the user of something.
    pub fn warn(&self, message: &str) {
        self.engine.log_message(Level::Warning, message);
    }

    fn own(&self, handle: Handle) -> Tensor {
        Tensor::new(Rc::clone(&self.engine), handle)
    }
}
