//! A linear layer x·Wᵀ + b whose backward pass computes the weight's gradient in the weight's own layout.
//!
//! A gradient nobody asked for is not computed: a frozen weight (no variable behind it) costs no matrix product.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use faer::{Accum, MatRef};
use rayon::prelude::*;

use super::gradient_buffers::weight_gradient;
use super::matrix::{CpuValues, contiguous, contiguous_matrix, matrix_mut, product, product_into};
use super::portable;
use super::vector::add;

/// How the weight is stored.
#[derive(Clone, Copy, PartialEq)]
enum Orientation {
    OutputsInputs,
    InputsOutputs,
}

struct Linear(Orientation);

impl Linear {
    /// The weight as [outputs, inputs].
    fn oriented<'a>(&self, weight: MatRef<'a, f32>) -> MatRef<'a, f32> {
        match self.0 {
            Orientation::OutputsInputs => weight,
            Orientation::InputsOutputs => weight.transpose(),
        }
    }

    /// Gradients of x and of the weight.
    fn gradients(&self, x: &Tensor, w: &Tensor, dy: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let [x_values, w_values, dy_values] = [x, w, dy].map(|t| CpuValues::of("linear", t));
        let dy = dy_values.matrix()?;
        let dx = if x.track_op() {
            let dx = product(dy, self.oriented(w_values.matrix()?));
            Some(Tensor::from_vec(dx, x.shape(), x.device())?)
        } else {
            None
        };
        let x = x_values.matrix()?;
        let dw = weight_gradient(w, |dw, accumulate| {
            let (left, right) = match self.0 {
                Orientation::OutputsInputs => (dy, x),
                Orientation::InputsOutputs => (x, dy),
            };
            product_into(
                matrix_mut(dw, right.ncols()),
                accumulate,
                left.transpose(),
                right,
            );
        });
        Ok([dx, dw?])
    }
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
        let x = contiguous_matrix("linear", x, lx)?;
        let w = self.oriented(contiguous_matrix("linear", w, lw)?);
        let y = product(x, w.transpose());
        Ok((CpuStorage::F32(y), Shape::from((x.nrows(), w.nrows()))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw] = self.gradients(x, w, &dy.contiguous()?)?;
        Ok((dx, dw))
    }
}

/// With a bias.
impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        let x = contiguous_matrix("linear", x, lx)?;
        let w = self.oriented(contiguous_matrix("linear", w, lw)?);
        let bias = contiguous("linear", b, lb)?;
        let mut y = bias.repeat(x.nrows());
        let out = matrix_mut(&mut y, bias.len());
        product_into(out, Accum::Add, x, w.transpose());
        Ok((CpuStorage::F32(y), Shape::from((x.nrows(), w.nrows()))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let [dx, dw] = self.gradients(x, w, &dy)?;
        let dy = CpuValues::of("linear", &dy);
        let dy = dy.slice()?;
        let db = weight_gradient(b, |db, accumulate| add_rows(db, accumulate, dy))?;
        Ok((dx, dw, db))
    }
}

/// Writes or adds the sum of `rows`, each as long as `sum`.
pub(super) fn add_rows(sum: &mut [f32], accumulate: Accum, rows: &[f32]) {
    const COLUMNS_PER_TASK: usize = 256;
    let width = sum.len();
    let tasks = sum.par_chunks_mut(COLUMNS_PER_TASK).enumerate();
    tasks.for_each(|(task, sum)| {
        if matches!(accumulate, Accum::Replace) {
            sum.fill(0.0);
        }
        for row in rows.chunks(width) {
            add(sum, &row[task * COLUMNS_PER_TASK..]);
        }
    });
}

/// `x·weightᵀ (+ bias)`: x [rows, inputs], weight [outputs, inputs], bias `[outputs]`, all f32 → [rows, outputs].
///
/// # Errors
/// When shapes do not fit or a tensor is not contiguous f32.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    apply(x, weight, bias, Orientation::OutputsInputs)
}

/// `x·weight (+ bias)`: as [`linear`], with a weight that is stored as [inputs, outputs].
///
/// # Errors
/// As [`linear`].
pub fn linear_inputs_first(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    apply(x, weight, bias, Orientation::InputsOutputs)
}

fn apply(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    orientation: Orientation,
) -> Result<Tensor> {
    let (first, second) = weight.dims2()?;
    let (inputs, outputs) = match orientation {
        Orientation::OutputsInputs => (second, first),
        Orientation::InputsOutputs => (first, second),
    };
    let biases = bias.map_or(Ok(outputs), Tensor::dims1)?;
    if x.dims2()?.1 != inputs || biases != outputs {
        candle_core::bail!(
            "linear: input {:?} and {biases} biases do not fit weight {:?}",
            x.shape(),
            weight.shape()
        );
    }
    if portable::is_portable(x) {
        let weight = match orientation {
            Orientation::OutputsInputs => &weight.t()?,
            Orientation::InputsOutputs => weight,
        };
        return portable::linear(x, weight, bias);
    }
    match bias {
        Some(bias) => x.apply_op3(weight, bias, Linear(orientation)),
        None => x.apply_op2(weight, Linear(orientation)),
    }
}
