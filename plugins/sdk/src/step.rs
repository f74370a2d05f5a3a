//! What a method sees of a training step. It refuses tokens and weights: what a loss needs is computed by the harness.

use std::rc::Rc;

use harness_abi::{Distribution, Handle, Level, Measure, Model, Positions, Progress};

use crate::engine::{Engine, Question};
use crate::{Error, Result, Role, SecondModel, Tensor};

/// A distribution that the trained model is compared with, at each position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Teacher {
    /// The code of a model.
    model: u32,
    shift: f64,
    stand_in: u32,
}

impl Teacher {
    /// The frozen original. Declare [`Needs::REFERENCE`](crate::Needs::REFERENCE).
    pub const fn reference() -> Self {
        Self {
            model: Model::Reference.code(),
            shift: 0.0,
            stand_in: 0,
        }
    }

    /// The trained model as it is now, as a constant.
    pub const fn policy() -> Self {
        Self {
            model: Model::Policy.code(),
            ..Self::reference()
        }
    }

    /// A second model, which must not be dropped before it is used.
    pub const fn second(model: &SecondModel) -> Self {
        Self {
            model: model.code(),
            ..Self::reference()
        }
    }

    /// The same with `shift` taken off the logit of the token that a position predicts; infinity removes the token.
    #[must_use]
    pub const fn against_label(self, shift: f64) -> Self {
        Self { shift, ..self }
    }

    /// Where a position predicts no answer token, the token that many from the end of the vocabulary stands for it; 0: none does.
    #[must_use]
    pub const fn with_stand_in(self, stand_in: u32) -> Self {
        Self { stand_in, ..self }
    }
}

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
        self.own(self.engine.token_logprobs(Model::Policy.code(), role))
    }

    /// The same under the frozen original: constants. Shape `[answer tokens]`. Declare [`Needs::REFERENCE`](crate::Needs::REFERENCE).
    pub fn reference_token_logprobs(&self, role: Role) -> Tensor {
        self.own(self.engine.token_logprobs(Model::Reference.code(), role))
    }

    /// The same under a second model: constants. Shape `[answer tokens]`.
    pub fn second_token_logprobs(&self, model: &SecondModel, role: Role) -> Tensor {
        self.own(self.engine.token_logprobs(model.code(), role))
    }

    /// Negative log-likelihood: the mean over all answer tokens of the batch (not the mean of the sequences' means), in nats. A scalar.
    pub fn nll(&self, role: Role) -> Tensor {
        -self.token_logprobs(role).mean()
    }

    /// Number of answer tokens of each sequence. Shape `[batch]`.
    pub fn answer_tokens(&self, role: Role) -> Tensor {
        self.position_counts(role, Positions::Answer)
    }

    /// How many of these positions each sequence has. Shape `[batch]`.
    pub fn position_counts(&self, role: Role, positions: Positions) -> Tensor {
        self.own(self.engine.position_counts(role, positions))
    }

    /// Sums a value per answer token over each sequence: shape `[answer tokens]` to `[batch]`.
    pub fn sum_per_sequence(&self, role: Role, values: &Tensor) -> Tensor {
        self.sum_over(role, Positions::Answer, values)
    }

    /// Averages a value per answer token over each sequence: shape `[answer tokens]` to `[batch]`.
    pub fn mean_per_sequence(&self, role: Role, values: &Tensor) -> Tensor {
        self.sum_per_sequence(role, values) / self.answer_tokens(role)
    }

    /// Sums a value per position over each sequence: shape `[positions]` to `[batch]`.
    pub fn sum_over(&self, role: Role, positions: Positions, values: &Tensor) -> Tensor {
        self.own(self.engine.sequence_sum(role, positions, values.handle()))
    }

    /// Kullback-Leibler divergence of the trained model from a teacher, Σ q (log q − log p) over the vocabulary, in nats: shape `[positions]`.
    /// A teacher is a constant, also [`Teacher::policy`]. All positions but [`Positions::Answer`] need
    /// [`Needs::EVERY_POSITION`](crate::Needs::EVERY_POSITION).
    pub fn divergence(&self, role: Role, positions: Positions, teacher: Teacher) -> Tensor {
        self.measure(Measure::Divergence, role, positions, teacher)
    }

    /// Cross-entropy to a teacher, −Σ q log p over the vocabulary, in nats: shape `[positions]`.
    pub fn cross_entropy(&self, role: Role, positions: Positions, teacher: Teacher) -> Tensor {
        self.measure(Measure::CrossEntropy, role, positions, teacher)
    }

    /// Cross-entropy to the original where it goes away from a second model that is surer, in nats: −Σ q log p over the vocabulary with
    /// q = softmax(z − alpha · relu(s − z)), z the original's logits, s the second model's. Shape `[positions]`. Declare
    /// [`Needs::REFERENCE`](crate::Needs::REFERENCE).
    pub fn contrast_cross_entropy(
        &self,
        role: Role,
        positions: Positions,
        second: &SecondModel,
        alpha: f64,
    ) -> Tensor {
        let models = [Model::Reference.code(), second.code()];
        let engine = &self.engine;
        self.own(engine.contrast_cross_entropy(role, positions, models, alpha))
    }

    /// The largest logit less the mean logit: shape `[positions]`.
    pub fn logit_spread(&self, role: Role, positions: Positions) -> Tensor {
        self.measure(Measure::LogitSpread, role, positions, Teacher::policy())
    }

    fn measure(
        &self,
        measure: Measure,
        role: Role,
        positions: Positions,
        teacher: Teacher,
    ) -> Tensor {
        self.own(self.engine.measure(&Question {
            measure,
            role,
            positions,
            teacher: teacher.model,
            shift: teacher.shift,
            stand_in: teacher.stand_in,
        }))
    }

    /// Numbers in a hidden state, where the host shows hidden states.
    pub fn hidden_width(&self) -> Result<usize> {
        let width = self.engine.hidden_width();
        width.ok_or_else(|| Error::new("this host shows no hidden states"))
    }

    /// Mean over the width of the squared difference between the output of layer `layer`, counted from 0, and `target`: a constant of
    /// shape `[width]`, or without one the original's output of that layer. Shape `[positions]`.
    pub fn hidden_distance(
        &self,
        role: Role,
        positions: Positions,
        layer: u32,
        target: Option<&Tensor>,
    ) -> Tensor {
        let target = target.map_or(Handle::NONE, Tensor::handle);
        self.own(self.engine.squared_distance(role, positions, layer, target))
    }

    /// Length of the original's output of layer `layer`, counted from 0: constants of shape `[positions]`. Declare
    /// [`Needs::REFERENCE`](crate::Needs::REFERENCE).
    pub fn reference_hidden_length(&self, role: Role, positions: Positions, layer: u32) -> Tensor {
        let engine = &self.engine;
        self.own(engine.hidden_length(Model::Reference, role, positions, layer))
    }

    /// Random constants of shape `[count]`, uniform in [0, 1). A stream gives the same numbers in every step of a run.
    pub fn uniform(&self, stream: u64, count: usize) -> Tensor {
        self.own(self.engine.random(stream, Distribution::Uniform, &[count]))
    }

    /// Random constants of shape `[count]`, normal with mean 0 and variance 1. A stream gives the same numbers in every step of a run.
    pub fn normal(&self, stream: u64, count: usize) -> Tensor {
        self.own(self.engine.random(stream, Distribution::Normal, &[count]))
    }

    /// How often the forget set has been gone through before this step, with fractions.
    pub fn epoch(&self) -> f64 {
        self.engine.progress(Progress::Epoch)
    }

    /// Steps that are done, and steps of the whole run.
    pub fn steps(&self) -> (f64, f64) {
        let of = |quantity| self.engine.progress(quantity);
        (of(Progress::Step), of(Progress::Steps))
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
