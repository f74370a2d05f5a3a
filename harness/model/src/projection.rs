//! A linear layer of the decoder: weight and bias by name, and whatever is attached to it.

use std::sync::Arc;

use candle_core::Tensor;
use candle_core::quantized::QTensor;

use crate::error::Result;
use crate::lora::Adapter;
use crate::ops;
use crate::spec::{LinearPart, WeightLayout};
use crate::weights::Weights;

/// x·Wᵀ + b, and what an adapter adds to it.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    matrix: Matrix,
    bias: Option<Tensor>,
    adapter: Option<Adapter>,
}

#[derive(Clone, Debug)]
enum Matrix {
    OutputsInputs(Tensor),
    InputsOutputs(Tensor),
    /// [outputs, inputs], frozen.
    Compressed(Arc<QTensor>),
}

impl Projection {
    /// The projection that `part` describes.
    pub(crate) fn new(weights: &Weights, part: &LinearPart) -> Result<Self> {
        let name = &part.name;
        let weight = || weights.get(&format!("{name}.weight"));
        let matrix = match (weights.compressed_matrix(name), part.layout) {
            (Some(matrix), _) => Matrix::Compressed(matrix),
            (None, WeightLayout::OutputsInputs) => Matrix::OutputsInputs(weight()?),
            (None, WeightLayout::InputsOutputs) => Matrix::InputsOutputs(weight()?),
        };
        let bias = part.bias.then(|| weights.get(&format!("{name}.bias")));
        Ok(Self {
            matrix,
            bias: bias.transpose()?,
            adapter: weights.adapter(name),
        })
    }

    /// Whether an adapter's output is different each time.
    pub(crate) fn has_dropout(&self) -> bool {
        self.adapter.as_ref().is_some_and(Adapter::has_dropout)
    }

    /// x [rows, inputs] → [rows, outputs].
    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let bias = self.bias.as_ref();
        let y = match &self.matrix {
            Matrix::OutputsInputs(weight) => ops::linear(x, weight, bias)?,
            Matrix::InputsOutputs(weight) => ops::linear_inputs_first(x, weight, bias)?,
            Matrix::Compressed(weight) => ops::compressed_linear(x, weight, bias)?,
        };
        match &self.adapter {
            Some(adapter) => ops::sum(&y, &adapter.forward(x)?),
            None => Ok(y),
        }
    }
}
