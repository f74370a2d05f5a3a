//! A linear layer with a frozen matrix that is kept in 16 or 8 bits and widened to f32 only while it is in use.
//!
//! The gradient reaches the input; there is none for the matrix.

use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::matrix::{CpuValues, contiguous_matrix, product};
use super::portable;

struct CompressedLinear {
    /// [outputs, inputs].
    weight: Arc<QTensor>,
}

impl CustomOp1 for CompressedLinear {
    fn name(&self) -> &'static str {
        "compressed linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous_matrix(self.name(), x, layout)?;
        let weight = self.weight.dequantize(&candle_core::Device::Cpu)?;
        let weight = CpuValues::of(self.name(), &weight);
        let weight = weight.matrix()?;
        let y = product(x, weight.transpose());
        Ok((CpuStorage::F32(y), Shape::from((x.nrows(), weight.nrows()))))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dx = || dy.matmul(&self.weight.dequantize(dy.device())?);
        x.track_op().then(dx).transpose()
    }
}

/// `x·weightᵀ (+ bias)`: x [rows, inputs] f32, weight [outputs, inputs] compressed, bias `[outputs]` f32 → [rows, outputs].
///
/// # Errors
/// When shapes do not fit or x is not contiguous f32.
pub(crate) fn compressed_linear(
    x: &Tensor,
    weight: &Arc<QTensor>,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    if x.dims2()?.1 != weight.shape().dims2()?.1 {
        let (x, weight) = (x.shape(), weight.shape());
        bail!("compressed linear: input {x:?} does not fit weight {weight:?}");
    }
    let y = if portable::is_portable(x) {
        portable::compressed_linear(x, weight)?
    } else {
        let weight = weight.clone();
        x.apply_op1(CompressedLinear { weight })?
    };
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}
