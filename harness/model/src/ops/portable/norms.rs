//! Normalisation over the last dimension of [rows, width]. Shapes are checked by the callers.

use candle_core::{D, Result, Tensor};

/// x / sqrt(mean(x²) + epsilon) · weight, weight `[width]`.
pub(in crate::ops) fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    scaled_by_root_mean_square(x, epsilon)?.broadcast_mul(weight)
}

/// (x − mean) / sqrt(variance + epsilon) · weight + bias, weight and bias `[width]`.
pub(in crate::ops) fn layer_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    scaled_by_root_mean_square(&centred, epsilon)?
        .broadcast_mul(weight)?
        .broadcast_add(bias)
}

fn scaled_by_root_mean_square(x: &Tensor, epsilon: f64) -> Result<Tensor> {
    let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean_square + epsilon)?.sqrt()?)
}
