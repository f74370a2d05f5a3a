//! Layer normalisation with its gradient (Ba et al. 2016, "Layer Normalization", eq. 3–4).

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::gradient_buffers::{add_all, weight_gradient};
use super::matrix::{CpuValues, contiguous};
use super::portable;
use super::vector::{dot, kernel, sum_of};

/// Rows a thread takes at a time, and the granularity of the weight gradient's partial sums.
const ROWS_PER_TASK: usize = 32;

struct LayerNorm {
    epsilon: f32,
}

impl LayerNorm {
    /// Mean and inverse deviation; the variance is the mean square distance from the mean, computed in two passes.
    #[inline(always)]
    fn moments(&self, row: &[f32]) -> (f32, f32) {
        let count = row.len() as f32;
        let mean = sum_of(row, |x| x) / count;
        let variance = sum_of(row, |x| (x - mean) * (x - mean)) / count;
        (mean, (variance + self.epsilon).sqrt().recip())
    }
}

kernel! {
    fn forward_rows<'a>(
        op: &'a LayerNorm,
        x: &'a [f32],
        weight: &'a [f32],
        bias: &'a [f32],
        y: &'a mut [f32],
    ) {
        let width = weight.len();
        for (y, x) in y.chunks_mut(width).zip(x.chunks(width)) {
            let (mean, scale) = op.moments(x);
            for i in 0..width {
                y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
            }
        }
    }
}

kernel! {
    /// Gradients of the inputs, and partial sums of the weight's and the bias's gradients for one run of rows.
    fn backward_rows<'a>(
        op: &'a LayerNorm,
        x: &'a [f32],
        weight: &'a [f32],
        dy: &'a [f32],
        dx: &'a mut [f32]) -> (Vec<f32>, Vec<f32>,
    ) {
        let width = weight.len();
        let (mut dweight, mut dbias) = (vec![0f32; width], vec![0f32; width]);
        let (mut normed, mut weighted) = (vec![0f32; width], vec![0f32; width]);
        let rows = x
            .chunks(width)
            .zip(dy.chunks(width))
            .zip(dx.chunks_mut(width));
        for ((x, dy), dx) in rows {
            let (mean, scale) = op.moments(x);
            for i in 0..width {
                normed[i] = (x[i] - mean) * scale;
                weighted[i] = dy[i] * weight[i];
                dweight[i] += dy[i] * normed[i];
                dbias[i] += dy[i];
            }
            let shift = sum_of(&weighted, |d| d) / width as f32;
            let shrink = dot(&weighted, &normed) / width as f32;
            for i in 0..width {
                dx[i] = (weighted[i] - shift - normed[i] * shrink) * scale;
            }
        }
        (dweight, dbias)
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let values = contiguous(self.name(), x, lx)?;
        let (weight, bias) = (
            contiguous(self.name(), w, lw)?,
            contiguous(self.name(), b, lb)?,
        );
        let chunk = weight.len() * ROWS_PER_TASK;
        let mut y = vec![0f32; values.len()];
        let tasks = y.par_chunks_mut(chunk).zip(values.par_chunks(chunk));
        tasks.for_each(|(y, x)| forward_rows(self, x, weight, bias, y));
        Ok((CpuStorage::F32(y), lx.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
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
        let (dweights, dbiases): (Vec<_>, Vec<_>) = tasks
            .map(|((dx, x), dy)| backward_rows(self, x, weight, dy, dx))
            .unzip();
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let sum = |of: &Tensor, parts: &[Vec<f32>]| {
            weight_gradient(of, |sum, accumulate| add_all(sum, accumulate, parts))
        };
        Ok((Some(dx), sum(w, &dweights)?, sum(b, &dbiases)?))
    }
}

/// `(x − mean) / sqrt(variance + epsilon) · weight + bias` over the last dimension: x [rows, width], weight and bias `[width]`, f32.
///
/// # Errors
/// When the widths differ or a tensor is not contiguous f32.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    let (_, width) = x.dims2()?;
    if weight.dims1()? != width || bias.dims1()? != width {
        candle_core::bail!(
            "layer_norm: weight {:?} and bias {:?} do not fit input {:?}",
            weight.shape(),
            bias.shape(),
            x.shape()
        );
    }
    if portable::is_portable(x) {
        return portable::layer_norm(x, weight, bias, epsilon);
    }
    x.apply_op3(
        weight,
        bias,
        LayerNorm {
            epsilon: epsilon as f32,
        },
    )
}
