//! Nonlinearities of feed-forward layers.

use candle_core::{Result, Tensor};

use crate::ops::Activation;

/// `activation` of each element of x.
pub(in crate::ops) fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        // candle's own turns NaN into zero, and has slope 1 at zero.
        Activation::Relu => x * x.detach().gt(0f32)?.to_dtype(x.dtype())?,
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Silu => x.silu(),
    }
}
