//! The seam between a method's tensors and what computes them: the harness across the C boundary, or the test rig.
//! It refuses to fail: a failure is a poisoned handle, so that a loss reads like its formula.

use harness_abi::{Handle, Level, Model, Operation, Role};

use crate::Result;

/// One step's tensors. The functions mirror [`harness_abi::HostTable`], which says what each does.
pub(crate) trait Engine {
    fn token_logprobs(&self, model: Model, role: Role) -> Handle;
    fn answer_tokens(&self, role: Role) -> Handle;
    fn sequence_sum(&self, role: Role, values: Handle) -> Handle;
    fn apply(&self, operation: Operation, inputs: &[Handle], scalars: &[f64]) -> Handle;
    fn constant(&self, values: &[f64], dimensions: &[usize]) -> Handle;
    fn log_scalar(&self, name: &str, value: Handle);
    fn log_message(&self, level: Level, text: &str);
    fn check(&self, handle: Handle) -> Result<()>;
    fn release(&self, handle: Handle);
}
