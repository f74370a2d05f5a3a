//! The low-rank part of one projection, s·B·A·x. It knows no files.

use std::sync::Arc;

use candle_core::Tensor;

use super::dropout::Dropout;
use crate::error::{ModelError, Result};
use crate::ops;
use crate::spec::{LinearPart, WeightLayout};
use crate::weights::Weights;

/// A [rank, inputs] and B [outputs, rank], f32, with their scale and the projection they belong to.
#[derive(Clone, Debug)]
pub(crate) struct Adapter {
    pub(super) part: LinearPart,
    pub(super) down: Tensor,
    pub(super) up: Tensor,
    pub(super) scale: f64,
    pub(super) dropout: Option<Arc<Dropout>>,
}

impl Adapter {
    pub(super) fn new(part: LinearPart, down: Tensor, up: Tensor, scale: f64) -> Self {
        Self {
            part,
            down,
            up,
            scale,
            dropout: None,
        }
    }

    pub(crate) fn has_dropout(&self) -> bool {
        self.dropout.is_some()
    }

    /// x [rows, inputs] → [rows, outputs], to be added to what the projection gives.
    pub(crate) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let low = match &self.dropout {
            Some(dropout) => ops::linear(&dropout.apply(x)?, &self.down, None)?,
            None => ops::linear(x, &self.down, None)?,
        };
        // Scaled where the tensor is smallest.
        ops::linear(&low.affine(self.scale, 0.0)?, &self.up, None)
    }

    /// What the projection's matrix is called among the weights.
    pub(super) fn weight_name(&self) -> String {
        format!("{}.weight", self.part.name)
    }

    /// Makes sure that the weights have the projection, in its shape.
    pub(super) fn check_fits(&self, weights: &Weights) -> Result<()> {
        let part = &self.part;
        let compressed = weights.compressed_matrix(&part.name);
        let (have, want) = if let Some(matrix) = compressed {
            (matrix.shape().dims().to_vec(), [part.outputs, part.inputs])
        } else {
            let weight = weights.get(&self.weight_name())?;
            (weight.dims().to_vec(), part.weight_shape())
        };
        if have == want {
            return Ok(());
        }
        Err(ModelError::BadInput(format!(
            "the adapter is for another model: {} has shape {have:?}, not {want:?}",
            self.weight_name()
        )))
    }

    /// s·B·A in the layout of the projection's matrix.
    pub(super) fn weight_delta(&self) -> candle_core::Result<Tensor> {
        let delta = self.up.matmul(&self.down)?.affine(self.scale, 0.0)?;
        match self.part.layout {
            WeightLayout::OutputsInputs => Ok(delta),
            WeightLayout::InputsOutputs => delta.t(),
        }
    }
}
