//! The seam between a method's tensors and what computes them: the harness across the C boundary, or the test rig.
//! It refuses to fail: a failure is a poisoned handle, so that a loss reads like its formula.

use harness_abi::{
    Distribution, Handle, Level, Measure, Model, Operation, Positions, Progress, Role,
};

use crate::Result;

/// One step's tensors. The functions mirror [`harness_abi::HostTable`], which says what each does.
pub(crate) trait Engine {
    fn token_logprobs(&self, model: u32, role: Role) -> Handle;
    fn position_counts(&self, role: Role, positions: Positions) -> Handle;
    fn sequence_sum(&self, role: Role, positions: Positions, values: Handle) -> Handle;
    fn apply(&self, operation: Operation, inputs: &[Handle], scalars: &[f64]) -> Handle;
    fn constant(&self, values: &[f64], dimensions: &[usize]) -> Handle;
    fn log_scalar(&self, name: &str, value: Handle);
    fn log_message(&self, level: Level, text: &str);
    fn check(&self, handle: Handle) -> Result<()>;
    fn release(&self, handle: Handle);
    fn measure(&self, question: &Question) -> Handle;
    fn contrast_cross_entropy(
        &self,
        role: Role,
        positions: Positions,
        models: [u32; 2],
        alpha: f64,
    ) -> Handle;
    fn read(&self, handle: Handle) -> Result<Vec<f64>>;
    fn random(&self, stream: u64, distribution: Distribution, dimensions: &[usize]) -> Handle;
    fn progress(&self, quantity: Progress) -> f64;
    fn hidden_width(&self) -> Option<usize>;
    fn squared_distance(
        &self,
        role: Role,
        positions: Positions,
        layer: u32,
        target: Handle,
    ) -> Handle;
    fn hidden_length(&self, model: Model, role: Role, positions: Positions, layer: u32) -> Handle;
}

/// What is asked about distributions over the vocabulary.
pub(crate) struct Question {
    pub(crate) measure: Measure,
    pub(crate) role: Role,
    pub(crate) positions: Positions,
    /// The code of a model.
    pub(crate) teacher: u32,
    pub(crate) shift: f64,
    pub(crate) stand_in: u32,
}

/// A run's parameters, optimisers and budget. The functions mirror [`harness_abi::TrainerTable`], which says what each does.
pub(crate) trait Loop: Engine {
    fn next_batch(&self) -> Result<()>;
    fn steps_left(&self) -> u64;
    fn cancelled(&self) -> bool;
    fn learning_rate(&self) -> f64;
    fn gradients(&self, loss: Handle) -> Handle;
    fn weights(&self) -> Handle;
    fn set_weights(&self, set: Handle) -> Result<()>;
    fn update(&self, set: Handle, factor: f64) -> Result<()>;
    fn scale_change(&self, since: Handle, factor: f64) -> Result<()>;
    fn combine(&self, operation: Operation, sets: &[Handle], scalars: &[f64]) -> Handle;
    fn dot(&self, first: Handle, second: Handle) -> Result<f64>;
    fn quantile(&self, set: Handle, share: f64) -> Result<f64>;
    fn select(&self, pattern: &str) -> Handle;
    fn random_set(&self, stream: u64, distribution: Distribution) -> Handle;
    fn optimizer(&self, kind: &str, options: &str) -> Handle;
    fn optimizer_step(
        &self,
        optimizer: Handle,
        gradients: Handle,
        learning_rate: f64,
    ) -> Result<f64>;
    fn finish_step(&self, loss: Handle) -> Result<()>;
    fn spawn(&self, set: Handle) -> Result<u32>;
    fn drop_model(&self, model: u32) -> Result<()>;
}
