//! What a training loop provides for one step. It refuses defaults that would compute something else than was asked for.

use candle_core::{Device, Result, Tensor, bail};
use harness_abi::{FIRST_SPAWNED_MODEL, Measure, Positions, Progress, Role};

/// Whose numbers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// The model being trained: differentiable.
    Policy,
    /// The frozen original: constants.
    Reference,
    /// A frozen copy that a method which owns its loop has made, by its code: constants.
    Spawned(u32),
}

impl Model {
    /// What `code` stands for; whether there is such a spawned model, only its training knows.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        match harness_abi::Model::from_code(code) {
            Some(harness_abi::Model::Policy) => Some(Self::Policy),
            Some(harness_abi::Model::Reference) => Some(Self::Reference),
            None => (code >= FIRST_SPAWNED_MODEL).then_some(Self::Spawned(code)),
        }
    }

    /// The name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Policy => harness_abi::Model::Policy.name(),
            Self::Reference => harness_abi::Model::Reference.name(),
            Self::Spawned(_) => "spawned model's",
        }
    }
}

/// What the training loop provides for one step.
///
/// The same role must give the same sequences in the same order under both models. Roles other than `Forget` are asked for only by
/// methods that declared them, the reference by those that declared [`Need::Reference`](crate::Need::Reference).
pub trait StepSource {
    /// Log-probabilities (nats) of the answer tokens under the model being trained, differentiable: f32, shape `[answer tokens of the batch]`, sequences
    /// end to end. Called at most once a step and role.
    fn token_logprobs(&self, role: Role) -> Result<Tensor>;

    /// The same under the frozen original: constants.
    fn reference_token_logprobs(&self, role: Role) -> Result<Tensor>;

    /// The same under a model that [`TrainingRun::spawn`](crate::TrainingRun::spawn) made: constants.
    fn spawned_token_logprobs(&self, model: u32, role: Role) -> Result<Tensor> {
        bail!(
            "there is no model {model} for the {} batch here",
            role.name()
        )
    }

    /// Number of answer tokens of each sequence, all at least 1.
    fn answer_lengths(&self, role: Role) -> Vec<usize>;

    /// How many of these positions each sequence has; never asked for `Answer`, and otherwise only by methods that declared
    /// [`Need::EveryPosition`](crate::Need::EveryPosition).
    fn position_counts(&self, role: Role, positions: Positions) -> Result<Vec<usize>> {
        bail!(
            "{} positions of the {} batch are not kept here",
            positions.name(),
            role.name()
        )
    }

    /// A measure of the policy's logits: `[positions]`, differentiable.
    fn measure(&self, request: &MeasureRequest) -> Result<Tensor> {
        bail!(
            "{} needs whole distributions, which are not kept here",
            request.measure.name()
        )
    }

    /// Numbers in a hidden state; 0 where there are none.
    fn hidden_width(&self) -> usize {
        0
    }

    /// Mean squared difference of a layer's outputs at each position to `target`, or to the original's: `[positions]`, differentiable.
    fn hidden_squared_distance(
        &self,
        role: Role,
        _positions: Positions,
        layer: usize,
        _target: Option<&Tensor>,
    ) -> Result<Tensor> {
        bail!(
            "the outputs of layer {layer} for the {} batch are not kept here",
            role.name()
        )
    }

    /// Length of a layer's output at each position: `[positions]`, differentiable under the policy.
    fn hidden_length(
        &self,
        _model: Model,
        role: Role,
        _positions: Positions,
        layer: usize,
    ) -> Result<Tensor> {
        bail!(
            "the outputs of layer {layer} for the {} batch are not kept here",
            role.name()
        )
    }

    /// How far the run is.
    fn progress(&self, quantity: Progress) -> f64;

    /// Seed of the run's random numbers.
    fn seed(&self) -> u64;

    /// What random numbers are instead of drawn, where a run is compared with a recording.
    fn recorded_random(&self) -> Option<&Tensor> {
        None
    }

    /// What stands for values whose gradient a method cut, or that it read: themselves, unless a check of gradients by differences holds them
    /// where they were.
    fn held(&self, values: Tensor) -> Result<Tensor> {
        Ok(values)
    }

    /// Where the step's tensors live.
    fn device(&self) -> Device {
        Device::Cpu
    }
}

/// What is asked about distributions over the whole vocabulary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasureRequest {
    /// The number that is wanted at each position.
    pub measure: Measure,
    /// Of which batch.
    pub role: Role,
    /// At which of its positions.
    pub positions: Positions,
    /// What the policy is compared with.
    pub teacher: Model,
    /// The model that the teacher goes away from where that is surer, and how far: logits t become t − alpha · max(s − t, 0), before the shift.
    pub contrast: Option<(Model, f64)>,
    /// Taken off the teacher's logit of the predicted token; may be infinite.
    pub shift: f64,
    /// Where a position predicts no answer token, the token that many from the end of the vocabulary is shifted; 0: none.
    pub stand_in: u32,
}
