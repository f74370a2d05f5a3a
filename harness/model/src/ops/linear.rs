//! A linear layer x·Wᵀ whose backward pass computes the weight's gradient in the weight's own layout.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::matrix::{Matrix, contiguous};

struct Linear {
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        contiguous(self.name(), x, lx)?;
        contiguous(self.name(), w, lw)?;
        let x = Matrix::rows(x, lx.start_offset(), self.rows, self.inputs, self.inputs);
        let w = Matrix::rows(w, lw.start_offset(), self.outputs, self.inputs, self.inputs);
        let y = x.times(w.transposed())?;
        Ok((CpuStorage::F32(y), Shape::from((self.rows, self.outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(dy.matmul(w)?), Some(dy.t()?.matmul(x)?)))
    }
}

/// `x·weightᵀ (+ bias)`: x [rows, inputs], weight [outputs, inputs], bias [outputs], all f32 → [rows, outputs].
///
/// # Errors
/// When shapes do not fit or a tensor is not contiguous f32 on the CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (rows, inputs) = x.dims2()?;
    let (outputs, weight_inputs) = weight.dims2()?;
    if inputs != weight_inputs {
        candle_core::bail!(
            "linear: input {:?} does not fit weight {:?}",
            x.shape(),
            weight.shape()
        );
    }
    let y = x.apply_op2(
        weight,
        Linear {
            rows,
            inputs,
            outputs,
        },
    )?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}
