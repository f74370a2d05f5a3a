//! The feed-forward part of a layer.

use candle_core::{Result, Tensor};

use crate::ops::Activation;
use crate::projection::Projection;
use crate::spec::{DecoderSpec, LayerParts, UpParts};
use crate::weights::Weights;

#[derive(Clone, Debug)]
pub(super) struct FeedForward {
    up: Up,
    down: Projection,
    activation: Activation,
    width: usize,
}

#[derive(Clone, Debug)]
enum Up {
    Plain(Projection),
    Gated { gate: Projection, up: Projection },
    FusedGated(Projection),
}

impl FeedForward {
    pub(super) fn new(
        spec: &DecoderSpec,
        parts: &LayerParts,
        weights: &Weights,
    ) -> crate::Result<Self> {
        let projection = |part| Projection::new(weights, part);
        Ok(Self {
            up: match &parts.up {
                UpParts::Plain(up) => Up::Plain(projection(up)?),
                UpParts::Gated { gate, up } => Up::Gated {
                    gate: projection(gate)?,
                    up: projection(up)?,
                },
                UpParts::FusedGated(gate_up) => Up::FusedGated(projection(gate_up)?),
            },
            down: projection(&parts.down)?,
            activation: spec.feed_forward.activation,
            width: spec.feed_forward.width,
        })
    }

    pub(super) fn projections(&self) -> Vec<&Projection> {
        match &self.up {
            Up::Plain(up) | Up::FusedGated(up) => vec![up, &self.down],
            Up::Gated { gate, up } => vec![gate, up, &self.down],
        }
    }

    /// x [rows, width] → [rows, width].
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = match &self.up {
            Up::Plain(up) => self.activation.apply(&up.forward(x)?)?,
            Up::Gated { gate, up } => self.activation.gate(&gate.forward(x)?, &up.forward(x)?)?,
            Up::FusedGated(gate_up) => {
                let both = gate_up.forward(x)?;
                let half = |start| both.narrow(1, start, self.width)?.contiguous();
                self.activation.gate(&half(0)?, &half(self.width)?)?
            }
        };
        self.down.forward(&inner)
    }
}
