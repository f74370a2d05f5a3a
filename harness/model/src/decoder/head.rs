//! From the residual stream to logits and log-probabilities of tokens.

use candle_core::{Result, Tensor};

use crate::ops::{self, TokenHead, TokenScore};
use crate::spec::DecoderSpec;
use crate::weights::Weights;

#[derive(Clone, Debug)]
pub(super) struct Head(pub(super) TokenHead);

impl Head {
    /// `embedding` [vocabulary, embedding width] is the head of a tied model.
    pub(super) fn new(
        spec: &DecoderSpec,
        weights: &Weights,
        embedding: &Tensor,
    ) -> crate::Result<Self> {
        let (weight, bias) = match spec.head_part() {
            None => (embedding.clone(), None),
            Some(part) => {
                let weight = |kind: &str| weights.get(&format!("{}.{kind}", part.name));
                let bias = part.bias.then(|| weight("bias"));
                (weight("weight")?, bias.transpose()?)
            }
        };
        let soft_cap = spec.head.soft_cap.map(|cap| cap as f32);
        Ok(Self(TokenHead {
            weight,
            bias,
            soft_cap,
        }))
    }

    pub(super) fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = ops::linear(hidden, &self.0.weight, self.0.bias.as_ref())?;
        match self.0.soft_cap.map(f64::from) {
            Some(cap) => logits.affine(1.0 / cap, 0.0)?.tanh()?.affine(cap, 0.0),
            None => Ok(logits),
        }
    }

    pub(super) fn token_logprobs(&self, rows: &Tensor, tokens: Vec<u32>) -> Result<Tensor> {
        ops::token_logprobs(rows, &self.0, tokens)
    }

    pub(super) fn token_scores(
        &self,
        rows: &Tensor,
        tokens: &[u32],
        standardise: bool,
    ) -> Result<Vec<TokenScore>> {
        ops::token_scores(rows, &self.0, tokens, standardise)
    }
}
