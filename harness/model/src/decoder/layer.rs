//! One decoder layer: attention and feed-forward, wired with norms and residuals as the description says.

use candle_core::{Result, Tensor};

use super::Pass;
use super::attention::Attention;
use super::feed_forward::FeedForward;
use super::norm::{Norm, applied};
use crate::ops;
use crate::projection::Projection;
use crate::spec::{DecoderSpec, NormPart, Wiring};
use crate::weights::Weights;

#[derive(Clone, Debug)]
pub(super) struct Layer {
    attention: Attention,
    feed_forward: FeedForward,
    attention_norm: Option<Norm>,
    attention_output_norm: Option<Norm>,
    feed_forward_norm: Option<Norm>,
    feed_forward_output_norm: Option<Norm>,
}

impl Layer {
    /// Layer `index`, whose queries and keys are turned by the rotation table of that number, if any.
    pub(super) fn new(
        spec: &DecoderSpec,
        weights: &Weights,
        index: usize,
        rotary_table: Option<usize>,
    ) -> crate::Result<Self> {
        let parts = spec.layer_parts(index);
        let norm = |part: &Option<NormPart>| {
            let norm = part
                .as_ref()
                .map(|part| Norm::new(part, &spec.norm, weights));
            norm.transpose()
        };
        Ok(Self {
            attention: Attention::new(spec, &parts, weights, index, rotary_table)?,
            feed_forward: FeedForward::new(spec, &parts, weights)?,
            attention_norm: norm(&parts.attention_norm)?,
            attention_output_norm: norm(&parts.attention_output_norm)?,
            feed_forward_norm: norm(&parts.feed_forward_norm)?,
            feed_forward_output_norm: norm(&parts.feed_forward_output_norm)?,
        })
    }

    pub(super) fn has_dropout(&self) -> bool {
        let projections = self.attention.projections().into_iter();
        let mut all = projections.chain(self.feed_forward.projections());
        all.any(Projection::has_dropout)
    }

    /// x [rows, width] → [rows, width].
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        match pass.spec.wiring {
            Wiring::PreNorm | Wiring::OutputNorm | Wiring::SandwichNorm => self.sequential(x, pass),
            Wiring::PostNorm => self.post_norm(x, pass),
            Wiring::ParallelOneNorm | Wiring::ParallelTwoNorms => self.parallel(x, pass),
        }
    }

    fn sequential(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let mixed = self
            .attention
            .forward(&applied(self.attention_norm.as_ref(), x)?, pass)?;
        let x = ops::sum(x, &applied(self.attention_output_norm.as_ref(), &mixed)?)?;
        let fed = self
            .feed_forward
            .forward(&applied(self.feed_forward_norm.as_ref(), &x)?)?;
        ops::sum(&x, &applied(self.feed_forward_output_norm.as_ref(), &fed)?)
    }

    fn post_norm(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let sum = ops::sum(x, &self.attention.forward(x, pass)?)?;
        let x = applied(self.attention_norm.as_ref(), &sum)?;
        let sum = ops::sum(&x, &self.feed_forward.forward(&x)?)?;
        applied(self.feed_forward_norm.as_ref(), &sum)
    }

    fn parallel(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let normed = applied(self.attention_norm.as_ref(), x)?;
        let mixed = self.attention.forward(&normed, pass)?;
        let fed = match &self.feed_forward_norm {
            Some(own) => self.feed_forward.forward(&own.forward(x)?)?,
            None => self.feed_forward.forward(&normed)?,
        };
        ops::sum(&ops::sum(x, &mixed)?, &fed)
    }
}
