//! Fused operations with exact backward passes: what candle lacks, or has only without gradients.
//!
//! Every operation here is differentiable with respect to all of its floating-point arguments, works on f32 tensors, and
//! refuses other dtypes by name instead of falling back silently. It is fused on the CPU; on other devices it is composed
//! of candle's own operations (`portable/`).

#![allow(
    clippy::inline_always,
    reason = "what kernels call must be inlined into the version for each vector extension"
)]

mod activation;
mod attention;
mod compressed_linear;
mod elementwise;
mod embedding;
mod few_rows;
mod gated;
mod gradient_buffers;
mod head;
mod layer_norm;
mod linear;
mod matrix;
mod moments;
mod normaliser;
mod portable;
mod rms_norm;
mod rotary;
mod sum;
mod token_scores;
mod vector;
mod vocabulary;

pub use activation::Activation;
pub(crate) use attention::attention_over;
pub use attention::{AttentionRule, attention};
pub(crate) use compressed_linear::compressed_linear;
pub use embedding::embedding;
pub use gradient_buffers::Gradient;
pub(crate) use gradient_buffers::{GradientBuffers, add_to_buffers};
pub use head::TokenHead;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_inputs_first};
pub(crate) use matrix::append;
#[doc(hidden)]
pub use portable::portably;
pub(crate) use portable::{Precomputed, attention as attention_of_tensors, is_portable};
pub use rms_norm::rms_norm;
pub use rotary::{RotaryTable, rotary};
pub use sum::sum;
pub use token_scores::{TokenScore, token_logprobs, token_scores};
pub(crate) use vector::{kernel, output, square_sum};
pub use vocabulary::{Comparison, Contrast, SoftTargets, compare_with_teacher, logit_spread};
