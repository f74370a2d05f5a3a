//! Fused operations with exact backward passes: what candle lacks, or has only without gradients.
//!
//! Every operation here is differentiable with respect to all of its floating-point arguments, works on f32 tensors
//! on the CPU, and refuses other devices and dtypes by name instead of falling back silently.

mod attention;
mod gated;
mod linear;
mod matrix;
mod rms_norm;
mod rotary;
mod token_scores;
mod vector;

pub use attention::attention;
pub use gated::silu_gated;
pub use linear::linear;
pub use rms_norm::rms_norm;
pub use rotary::{RotaryTable, rotary};
pub use token_scores::{TokenScore, token_logprobs, token_scores};
pub(crate) use vector::wide;
