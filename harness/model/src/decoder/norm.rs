//! One normalisation with its weights, of the kind that the description names.

use candle_core::{Result, Tensor};

use crate::ops;
use crate::spec::{Norm as NormSpec, NormKind, NormPart};
use crate::weights::Weights;

#[derive(Clone, Debug)]
pub(super) struct Norm {
    kind: NormKind,
    epsilon: f64,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Norm {
    pub(super) fn new(part: &NormPart, spec: &NormSpec, weights: &Weights) -> crate::Result<Self> {
        let weight = |kind: &str| weights.get(&format!("{}.{kind}", part.name));
        Ok(Self {
            kind: spec.kind,
            epsilon: spec.epsilon,
            weight: weight("weight")?,
            bias: part.bias.then(|| weight("bias")).transpose()?,
        })
    }

    /// Normalises x [rows, width]; each run of the weight's width where the rows are wider.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let width = self.weight.dims1()?;
        let runs = x.reshape(((), width))?;
        let normed = match (self.kind, &self.bias) {
            (NormKind::RmsUnitOffset, _) => {
                ops::rms_norm(&runs, &self.weight.affine(1.0, 1.0)?, self.epsilon)
            }
            (NormKind::Layer, Some(bias)) => {
                ops::layer_norm(&runs, &self.weight, bias, self.epsilon)
            }
            (NormKind::Layer, None) => ops::layer_norm(
                &runs,
                &self.weight,
                &self.weight.zeros_like()?,
                self.epsilon,
            ),
            (NormKind::Rms, _) => ops::rms_norm(&runs, &self.weight, self.epsilon),
        };
        normed?.reshape(x.shape())
    }
}

/// x through the norm, or as it is where the description has none.
pub(super) fn applied(norm: Option<&Norm>, x: &Tensor) -> Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(x),
        None => Ok(x.clone()),
    }
}
