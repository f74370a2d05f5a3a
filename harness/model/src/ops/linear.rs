//! A linear layer x·Wᵀ whose backward pass computes the weight's gradient in the weight's own layout.
//!
//! A gradient nobody asked for is not computed: a frozen weight (no variable behind it) costs no matrix product.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::matrix::{Matrix, contiguous};

/// y = x·Wᵀ where W is stored as [outputs, inputs], x·W where it is stored as [inputs, outputs].
struct Linear {
    rows: usize,
    inputs: usize,
    outputs: usize,
    outputs_first: bool,
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
        let (inputs, outputs) = (self.inputs, self.outputs);
        let x = Matrix::rows(x, lx.start_offset(), self.rows, inputs, inputs);
        let w = if self.outputs_first {
            Matrix::rows(w, lw.start_offset(), outputs, inputs, inputs).transposed()
        } else {
            Matrix::rows(w, lw.start_offset(), inputs, outputs, outputs)
        };
        let y = x.times(w)?;
        Ok((CpuStorage::F32(y), Shape::from((self.rows, outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dx = || {
            let w = if self.outputs_first { w } else { &w.t()? };
            dy.matmul(w)
        };
        let dw = || {
            let (left, right) = if self.outputs_first { (dy, x) } else { (x, dy) };
            left.t()?.matmul(right)
        };
        Ok((
            x.track_op().then(dx).transpose()?,
            w.track_op().then(dw).transpose()?,
        ))
    }
}

/// `x·weightᵀ (+ bias)`: x [rows, inputs], weight [outputs, inputs], bias `[outputs]`, all f32 → [rows, outputs].
///
/// # Errors
/// When shapes do not fit or a tensor is not contiguous f32 on the CPU.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    apply(x, weight, bias, (inputs, outputs, true))
}

/// `x·weight (+ bias)`: as [`linear`], with a weight that is stored as [inputs, outputs].
///
/// # Errors
/// As [`linear`].
pub fn linear_inputs_first(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (inputs, outputs) = weight.dims2()?;
    apply(x, weight, bias, (inputs, outputs, false))
}

fn apply(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    (inputs, outputs, outputs_first): (usize, usize, bool),
) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if width != inputs {
        candle_core::bail!(
            "linear: input {:?} does not fit weight {:?}",
            x.shape(),
            weight.shape()
        );
    }
    let op = Linear {
        rows,
        inputs,
        outputs,
        outputs_first,
    };
    let y = x.apply_op2(weight, op)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}
