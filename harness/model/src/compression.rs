//! Frozen weights in less memory: the matrices inside the layers in 16 or 8 bits, to train adapters beside. Not for
//! training or writing the model itself.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};

use crate::error::{ModelError, Result};
use crate::spec::{DecoderSpec, LinearPart, WeightLayout};
use crate::weights::Weights;

/// How a frozen matrix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrozenPrecision {
    /// bf16: 2 bytes a weight.
    BFloat16,
    /// 8-bit integers in blocks of 32 along the inputs, each with a 16-bit scale (ggml's `Q8_0`): 34 bytes for 32 weights.
    Int8,
}

impl FrozenPrecision {
    fn format(self) -> GgmlDType {
        match self {
            Self::BFloat16 => GgmlDType::BF16,
            Self::Int8 => GgmlDType::Q8_0,
        }
    }
}

impl Weights {
    /// The same model with the matrices inside its layers compressed; embeddings, norms, biases and head stay f32.
    ///
    /// # Errors
    /// When a matrix is missing, or has rows that cannot be cut into blocks.
    pub fn compressed(&self, spec: &DecoderSpec, precision: FrozenPrecision) -> Result<Self> {
        let mut compressed = self.clone();
        for index in 0..spec.layers.len() {
            for part in spec.layer_parts(index).linears() {
                let matrix = self.compress(part, precision.format())?;
                compressed.put_compressed(&part.name, Arc::new(matrix));
            }
        }
        Ok(compressed)
    }

    /// The matrix of a projection as [outputs, inputs].
    fn compress(&self, part: &LinearPart, format: GgmlDType) -> Result<QTensor> {
        if !part.inputs.is_multiple_of(format.block_size()) {
            return Err(ModelError::BadInput(format!(
                "{} has {} inputs, which 8-bit blocks of {} do not divide; keep it in bf16",
                part.name,
                part.inputs,
                format.block_size()
            )));
        }
        let weight = self.get(&format!("{}.weight", part.name))?;
        let weight = match part.layout {
            WeightLayout::OutputsInputs => weight,
            WeightLayout::InputsOutputs => weight.t()?.contiguous()?,
        };
        Ok(QTensor::quantize(&weight, format)?)
    }
}
