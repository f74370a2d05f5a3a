//! Activation checkpointing: a layer keeps its input alone and is run again when gradients are computed (Chen et al. 2016,
//! "Training Deep Nets with Sublinear Memory Cost"). It refuses backward passes that do not collect weights' gradients.

use std::sync::Arc;

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor, Var};

use super::Pass;
use super::layer::Layer;
use crate::ops::{Precomputed, add_to_buffers};

struct Checkpoint {
    layer: Layer,
    pass: Arc<Pass>,
    output: Precomputed,
}

impl CustomOp1 for Checkpoint {
    fn name(&self) -> &'static str {
        "activation checkpoint"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.output.cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.output.cuda()
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let x = Var::from_tensor(&x.detach())?;
        let y = self.layer.forward(&x, &self.pass)?;
        // The gradient of Σ y·dy with respect to y is dy.
        let gradients = (y * dy)?.sum_all()?.backward()?;
        add_to_buffers(&gradients)?;
        Ok(gradients.get(&x).cloned())
    }
}

/// The output of `layer` for x [rows, width], of which only x is kept.
pub(super) fn checkpointed(layer: &Layer, x: &Tensor, pass: &Arc<Pass>) -> Result<Tensor> {
    // What the layer keeps for gradients ends with this line.
    let output = Precomputed::new(&layer.forward(&x.detach(), pass)?)?;
    x.apply_op1(Checkpoint {
        layer: layer.clone(),
        pass: Arc::clone(pass),
        output,
    })
}
