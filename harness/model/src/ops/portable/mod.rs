//! The operations as compositions of candle's own differentiable ones, for tensors that are not on the CPU. Nothing here is
//! faster than the fused operations where those can run.
//!
//! candle has quicker forms of some of these (softmax, norms, rotations) that cut gradients without a word; none is used.

mod activation;
mod attention;
mod matrices;
mod norms;
mod precomputed;
mod rotary;
mod token_logprobs;
mod vocabulary;

use std::cell::Cell;

use candle_core::Tensor;

pub(super) use activation::activate;
pub(crate) use attention::attention;
pub(super) use matrices::{compressed_linear, embedding, linear};
pub(super) use norms::{layer_norm, rms_norm};
pub(crate) use precomputed::Precomputed;
pub(super) use rotary::rotary;
pub(super) use token_logprobs::{token_logprobs, token_scores};
pub(super) use vocabulary::{compare_with_teacher, logit_spread};

thread_local! {
    static EVERYWHERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether `tensor` is computed with by compositions, and not by fused operations.
pub(crate) fn is_portable(tensor: &Tensor) -> bool {
    !tensor.device().is_cpu() || EVERYWHERE.get()
}

/// Runs `compute` with compositions on the CPU, too: so that machines without another device can test them.
#[doc(hidden)]
pub fn portably<T>(compute: impl FnOnce() -> T) -> T {
    let before = EVERYWHERE.replace(true);
    let result = compute();
    EVERYWHERE.set(before);
    result
}
