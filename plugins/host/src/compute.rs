//! The contract's operations on candle tensors. It refuses what candle would take silently: broadcasting beyond a scalar, gradients lost or overflowing.

use candle_core::{DType, Result as CandleResult, Tensor};
use harness_abi::Operation;

use crate::error::plain;

/// Applies `operation`; the error names the shapes.
pub(crate) fn apply(
    operation: Operation,
    inputs: &[Tensor],
    scalars: &[f64],
) -> Result<Tensor, String> {
    match (inputs, scalars) {
        ([a, b], []) if operation.inputs() == 2 => {
            if a.dims() != b.dims() && a.rank() != 0 && b.rank() != 0 {
                return Err(format!(
                    "shapes {:?} and {:?} do not fit",
                    a.dims(),
                    b.dims()
                ));
            }
            binary(operation, a, b)
        }
        ([a], []) if (operation.inputs(), operation.scalars()) == (1, 0) => unary(operation, a),
        ([a], [scalar]) if operation.scalars() == 1 => with_scalar(operation, a, *scalar),
        _ => return Err(counts(operation, inputs.len(), scalars.len())),
    }
    .map_err(|error| {
        let shapes: Vec<String> = inputs
            .iter()
            .map(|input| format!("{:?}", input.dims()))
            .collect();
        format!("shapes {}: {}", shapes.join(" and "), plain(&error))
    })
}

fn counts(operation: Operation, inputs: usize, scalars: usize) -> String {
    format!(
        "takes {} tensors and {} numbers, got {inputs} and {scalars}",
        operation.inputs(),
        operation.scalars()
    )
}

fn binary(operation: Operation, a: &Tensor, b: &Tensor) -> CandleResult<Tensor> {
    match operation {
        Operation::Add => a.broadcast_add(b),
        Operation::Subtract => a.broadcast_sub(b),
        Operation::Multiply => a.broadcast_mul(b),
        Operation::Divide => a.broadcast_div(b),
        Operation::Maximum => a.broadcast_maximum(b),
        Operation::Minimum => a.broadcast_minimum(b),
        Operation::Greater => a.detach().broadcast_gt(&b.detach())?.to_dtype(DType::F32),
        other => candle_core::bail!("{} is no operation of two tensors", other.name()),
    }
}

fn unary(operation: Operation, a: &Tensor) -> CandleResult<Tensor> {
    match operation {
        Operation::Negate => a.neg(),
        Operation::Exp => a.exp(),
        Operation::Log => a.log(),
        Operation::Sigmoid => {
            let value = sigmoid(&a.detach())?;
            let slope = (&value * value.affine(-1.0, 1.0)?)?;
            with_slope(a, &value, &slope)
        }
        Operation::LogSigmoid => {
            let negated = a.detach().neg()?;
            with_slope(a, &softplus(&negated)?.neg()?, &sigmoid(&negated)?)
        }
        Operation::Softplus => with_slope(a, &softplus(&a.detach())?, &sigmoid(&a.detach())?),
        Operation::Tanh => a.tanh(),
        Operation::Relu => a.relu(),
        Operation::Square => a.sqr(),
        Operation::Sqrt => a.sqrt(),
        Operation::Sum => a.sum_all(),
        Operation::Mean => a.mean_all(),
        Operation::Detach => Ok(a.detach()),
        other => candle_core::bail!("{} is no operation of one tensor", other.name()),
    }
}

fn with_scalar(operation: Operation, a: &Tensor, scalar: f64) -> CandleResult<Tensor> {
    match operation {
        Operation::AddScalar => a.affine(1.0, scalar),
        Operation::MultiplyScalar => a.affine(scalar, 0.0),
        other => candle_core::bail!("{} takes no number", other.name()),
    }
}

/// A tensor with this value and this derivative by `a`, both constants. Where the textbook formula is not differentiable at 0 or
/// overflows in its backward pass, the exact slope is not hard to write down.
fn with_slope(a: &Tensor, value: &Tensor, slope: &Tensor) -> CandleResult<Tensor> {
    // a - a is exactly 0 and its derivative 1.
    let zero = (a - a.detach())?;
    value.detach() + (zero * slope.detach())?
}

/// 1 / (1 + e^-x), a constant: an overflowing e^-x gives 0.
fn sigmoid(x: &Tensor) -> CandleResult<Tensor> {
    x.neg()?.exp()?.affine(1.0, 1.0)?.recip()
}

/// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), a constant.
fn softplus(x: &Tensor) -> CandleResult<Tensor> {
    x.relu()? + x.abs()?.neg()?.exp()?.affine(1.0, 1.0)?.log()?
}

/// Sums `values`, shape `[sum of lengths]`, over consecutive runs of these lengths: shape `[lengths.len()]`.
pub(crate) fn sequence_sum(values: &Tensor, lengths: &[usize]) -> Result<Tensor, String> {
    let tokens: usize = lengths.iter().sum();
    if values.dims() != [tokens] {
        return Err(format!(
            "shape {:?} does not fit the batch's {tokens} answer tokens",
            values.dims()
        ));
    }
    let runs = lengths.iter().enumerate();
    let rows: Vec<u32> = runs
        .flat_map(|(row, &length)| vec![row as u32; length])
        .collect();
    let sum = || {
        let rows = Tensor::new(rows, values.device())?;
        let zeros = Tensor::zeros(lengths.len(), DType::F32, values.device())?;
        zeros.index_add(&rows, &values.contiguous()?, 0)
    };
    sum().map_err(|error: candle_core::Error| plain(&error))
}
