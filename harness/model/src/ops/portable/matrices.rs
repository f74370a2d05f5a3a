//! Products with weight matrices and rows of tables. Shapes are checked by the callers.

use candle_core::quantized::QTensor;
use candle_core::{Result, Tensor};

/// x·weight (+ bias): x [rows, inputs], weight [inputs, outputs], bias `[outputs]`.
pub(in crate::ops) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(weight)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// x·weightᵀ: x [rows, inputs], weight [outputs, inputs] compressed. Where x is differentiable, the graph keeps the widened
/// matrix.
pub(in crate::ops) fn compressed_linear(x: &Tensor, weight: &QTensor) -> Result<Tensor> {
    x.matmul(&weight.dequantize(x.device())?.t()?)
}

/// Rows `rows` of `table` [vocabulary, width].
pub(in crate::ops) fn embedding(table: &Tensor, rows: Vec<u32>) -> Result<Tensor> {
    table.index_select(&Tensor::new(rows, table.device())?, 0)
}
