//! Rotary position embedding, rotate-half convention. Shapes are checked by the callers.

use candle_core::{Result, Tensor};

/// Rotates the leading dimensions of every head of x `[rows, heads · head_dim]` by angles given as cosines and sines [rows, half].
pub(in crate::ops) fn rotary(
    x: &Tensor,
    [cosines, sines]: &[Tensor; 2],
    head_dim: usize,
) -> Result<Tensor> {
    let half = cosines.dim(1)?;
    let heads = x.reshape((x.dim(0)?, (), head_dim))?;
    let [cosines, sines] = [cosines.unsqueeze(1)?, sines.unsqueeze(1)?];
    let [first, second] = [heads.narrow(2, 0, half)?, heads.narrow(2, half, half)?];
    let turned_first = (first.broadcast_mul(&cosines)? - second.broadcast_mul(&sines)?)?;
    let turned_second = (second.broadcast_mul(&cosines)? + first.broadcast_mul(&sines)?)?;
    let mut parts = vec![turned_first, turned_second];
    if head_dim > 2 * half {
        parts.push(heads.narrow(2, 2 * half, head_dim - 2 * half)?);
    }
    Tensor::cat(&parts, 2)?.contiguous()?.reshape(x.shape())
}
