//! The one decoder: runs packed batches for scoring and for training alike, as a [`DecoderSpec`] describes it.
//!
//! It returns hidden states; logits are computed only for the rows somebody asks about. It knows no files and no families.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::error::{ModelError, Result};
use crate::ops::{self, RotaryTable, TokenScore};
use crate::packed::{Block, PackedBatch};
use crate::projection::Projection;
use crate::spec::DecoderSpec;
use crate::weights::Weights;

/// A decoder with its weights. Cheap to clone; clones share weights.
#[derive(Clone, Debug)]
pub struct Decoder {
    spec: Arc<DecoderSpec>,
    embedding: Tensor,
    layers: Vec<Layer>,
    final_norm: Tensor,
    head: Tensor,
    inverse_frequencies: Arc<Vec<f32>>,
}

#[derive(Clone, Debug)]
struct Layer {
    attention_norm: Tensor,
    query: Projection,
    key: Projection,
    value: Projection,
    output: Projection,
    feed_forward_norm: Tensor,
    gate: Projection,
    up: Projection,
    down: Projection,
}

/// What all layers share in one pass.
struct Pass<'a> {
    spec: &'a DecoderSpec,
    rotary: RotaryTable,
    blocks: Arc<Vec<Block>>,
}

impl Layer {
    fn new(weights: &Weights, spec: &DecoderSpec, index: usize) -> Result<Self> {
        let projection = |name: &str, bias| {
            Projection::new(weights, &format!("model.layers.{index}.{name}"), bias)
        };
        let norm = |name: &str| weights.get(&format!("model.layers.{index}.{name}.weight"));
        let (attention, feed_forward) = (spec.attention.bias, spec.feed_forward.bias);
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            query: projection("self_attn.q_proj", attention)?,
            key: projection("self_attn.k_proj", attention)?,
            value: projection("self_attn.v_proj", attention)?,
            output: projection("self_attn.o_proj", attention)?,
            feed_forward_norm: norm("post_attention_layernorm")?,
            gate: projection("mlp.gate_proj", feed_forward)?,
            up: projection("mlp.up_proj", feed_forward)?,
            down: projection("mlp.down_proj", feed_forward)?,
        })
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> candle_core::Result<Tensor> {
        let normed = ops::rms_norm(x, &self.attention_norm, pass.spec.norm_epsilon)?;
        let query = ops::rotary(&self.query.forward(&normed)?, &pass.rotary)?;
        let key = ops::rotary(&self.key.forward(&normed)?, &pass.rotary)?;
        let value = self.value.forward(&normed)?;
        let mixed = ops::attention(
            &query,
            &key,
            &value,
            &pass.blocks,
            pass.spec.attention.head_dim,
        )?;
        let x = (x + self.output.forward(&mixed)?)?;
        let normed = ops::rms_norm(&x, &self.feed_forward_norm, pass.spec.norm_epsilon)?;
        let gated = ops::silu_gated(&self.gate.forward(&normed)?, &self.up.forward(&normed)?)?;
        x + self.down.forward(&gated)?
    }
}

impl Decoder {
    /// Puts `weights` (constants or variables) into the shape that `spec` describes.
    ///
    /// # Errors
    /// When a weight is missing.
    pub fn new(spec: DecoderSpec, weights: &Weights) -> Result<Self> {
        let embedding = weights.get("model.embed_tokens.weight")?;
        let head = if spec.tied_head {
            embedding.clone()
        } else {
            weights.get("lm_head.weight")?
        };
        let layers = (0..spec.layers)
            .map(|index| Layer::new(weights, &spec, index))
            .collect::<Result<_>>()?;
        let inverse_frequencies =
            Arc::new(spec.rotary.inverse_frequencies(spec.attention.head_dim));
        let final_norm = weights.get("model.norm.weight")?;
        Ok(Self {
            spec: Arc::new(spec),
            embedding,
            layers,
            final_norm,
            head,
            inverse_frequencies,
        })
    }

    /// The description this decoder follows.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.embedding.device()
    }

    /// Hidden states [rows, width] after the final norm, f32, differentiable if the weights are variables.
    ///
    /// # Errors
    /// When the batch is empty or holds a token outside the vocabulary.
    pub fn hidden(&self, batch: &PackedBatch) -> Result<Tensor> {
        let last = self.run(batch, |_| {})?;
        Ok(ops::rms_norm(
            &last,
            &self.final_norm,
            self.spec.norm_epsilon,
        )?)
    }

    /// Every hidden state [rows, width] as transformers counts them: the embeddings, the output of each layer but the
    /// last, and the last one after the final norm.
    ///
    /// # Errors
    /// As [`Self::hidden`].
    pub fn hidden_states(&self, batch: &PackedBatch) -> Result<Vec<Tensor>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        let last = self.run(batch, |state| states.push(state.clone()))?;
        states.push(ops::rms_norm(
            &last,
            &self.final_norm,
            self.spec.norm_epsilon,
        )?);
        Ok(states)
    }

    /// Runs the layers; `inspect` sees the input of each.
    fn run(&self, batch: &PackedBatch, mut inspect: impl FnMut(&Tensor)) -> Result<Tensor> {
        let vocabulary = self.spec.vocabulary;
        if let Some(token) = batch
            .tokens()
            .iter()
            .find(|&&token| token as usize >= vocabulary)
        {
            let message = format!(
                "token {token} is outside the model's vocabulary of {vocabulary}: tokenizer.json and config.json do not belong together"
            );
            return Err(ModelError::BadInput(message));
        }
        if batch.is_empty() {
            return Err(ModelError::BadInput(
                "an empty batch has no hidden states".into(),
            ));
        }
        let pass = Pass {
            spec: &self.spec,
            rotary: RotaryTable::new(batch.positions(), &self.inverse_frequencies),
            blocks: Arc::new(batch.blocks().to_vec()),
        };
        let tokens = Tensor::new(batch.tokens(), self.device())?;
        let mut state = self.embedding.index_select(&tokens, 0)?;
        for layer in &self.layers {
            inspect(&state);
            state = layer.forward(&state, &pass)?;
        }
        Ok(state)
    }

    /// Logits [rows, vocabulary] of hidden states [rows, width], f32.
    ///
    /// # Errors
    /// When widths do not fit.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(ops::linear(hidden, &self.head, None)?)
    }

    /// Differentiable log-probabilities [targets] of target tokens, each after the row it is paired with.
    ///
    /// # Errors
    /// When a row or token does not exist.
    pub fn token_logprobs(&self, hidden: &Tensor, targets: &[(usize, u32)]) -> Result<Tensor> {
        let (rows, tokens) = self.select(hidden, targets)?;
        Ok(ops::token_logprobs(&rows, &self.head, tokens)?)
    }

    /// The same without gradients, and whether each target is the most likely token.
    ///
    /// # Errors
    /// As [`Self::token_logprobs`].
    pub fn token_scores(
        &self,
        hidden: &Tensor,
        targets: &[(usize, u32)],
    ) -> Result<Vec<TokenScore>> {
        let (rows, tokens) = self.select(hidden, targets)?;
        Ok(ops::token_scores(&rows, &self.head, &tokens)?)
    }

    fn select(&self, hidden: &Tensor, targets: &[(usize, u32)]) -> Result<(Tensor, Vec<u32>)> {
        let rows: Vec<u32> = targets.iter().map(|&(row, _)| row as u32).collect();
        let tokens = targets.iter().map(|&(_, token)| token).collect();
        Ok((
            hidden.index_select(&Tensor::new(rows, self.device())?, 0)?,
            tokens,
        ))
    }
}
