//! Root-mean-square normalisation with its gradient (Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::gradient_buffers::{add_all, weight_gradient};
use super::matrix::{CpuValues, contiguous};
use super::portable;
use super::vector::{dot, kernel, sum_of};

/// Rows a thread takes at a time, and the granularity of the weight gradient's partial sums.
const ROWS_PER_TASK: usize = 32;

struct RmsNorm {
    epsilon: f32,
}

impl RmsNorm {
    #[inline(always)]
    fn inverse_rms(&self, row: &[f32]) -> f32 {
        (sum_of(row, |x| x * x) / row.len() as f32 + self.epsilon)
            .sqrt()
            .recip()
    }
}

kernel! {
    fn forward_rows<'a>(op: &'a RmsNorm, x: &'a [f32], weight: &'a [f32], y: &'a mut [f32]) {
        let width = weight.len();
        for (y, x) in y.chunks_mut(width).zip(x.chunks(width)) {
            let scale = op.inverse_rms(x);
            for ((y, &x), &w) in y.iter_mut().zip(x).zip(weight) {
                *y = x * scale * w;
            }
        }
    }
}

kernel! {
    /// Gradients of the inputs, and partial sums of the weight's gradient for one run of rows.
    fn backward_rows<'a>(
        op: &'a RmsNorm,
        x: &'a [f32],
        weight: &'a [f32],
        dy: &'a [f32],
        dx: &'a mut [f32],
    ) -> Vec<f32> {
        let width = weight.len();
        let mut dweight = vec![0f32; width];
        let mut weighted = vec![0f32; width];
        for ((x, dy), dx) in x
            .chunks(width)
            .zip(dy.chunks(width))
            .zip(dx.chunks_mut(width))
        {
            let scale = op.inverse_rms(x);
            for i in 0..width {
                weighted[i] = dy[i] * weight[i];
                dweight[i] += dy[i] * x[i] * scale;
            }
            let shrink = dot(&weighted, x) * scale * scale * scale / width as f32;
            for i in 0..width {
                dx[i] = weighted[i] * scale - x[i] * shrink;
            }
        }
        dweight
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (values, weight) = (
            contiguous(self.name(), x, lx)?,
            contiguous(self.name(), w, lw)?,
        );
        let width = weight.len();
        let mut y = vec![0f32; values.len()];
        let tasks = y
            .par_chunks_mut(width * ROWS_PER_TASK)
            .zip(values.par_chunks(width * ROWS_PER_TASK));
        tasks.for_each(|(y, x)| forward_rows(self, x, weight, y));
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = w.elem_count();
        let dy = dy.contiguous()?;
        let [values, weight, dy] = [x, w, &dy].map(|t| CpuValues::of(self.name(), t));
        let (values, weight, dy) = (values.slice()?, weight.slice()?, dy.slice()?);
        let mut dx = vec![0f32; values.len()];
        let chunk = width * ROWS_PER_TASK;
        let tasks = dx
            .par_chunks_mut(chunk)
            .zip(values.par_chunks(chunk))
            .zip(dy.par_chunks(chunk));
        let parts: Vec<Vec<f32>> = tasks
            .map(|((dx, x), dy)| backward_rows(self, x, weight, dy, dx))
            .collect();
        let dweight = weight_gradient(w, |sum, accumulate| add_all(sum, accumulate, &parts))?;
        Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), dweight))
    }
}

/// `x / sqrt(mean(x²) + epsilon) · weight` over the last dimension: x [rows, width], weight `[width]`, f32.
///
/// # Errors
/// When the widths differ or a tensor is not contiguous f32.
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let (_, width) = x.dims2()?;
    if weight.dims1()? != width {
        candle_core::bail!(
            "rms_norm: weight {:?} does not fit input {:?}",
            weight.shape(),
            x.shape()
        );
    }
    if portable::is_portable(x) {
        return portable::rms_norm(x, weight, epsilon);
    }
    x.apply_op2(
        weight,
        RmsNorm {
            epsilon: epsilon as f32,
        },
    )
}
