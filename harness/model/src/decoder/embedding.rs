//! From tokens and positions to the residual stream; refuses tokens and positions that the tables do not have.

use candle_core::Tensor;

use crate::error::{ModelError, Result};
use crate::ops;
use crate::packed::PackedBatch;
use crate::projection::Projection;
use crate::spec::DecoderSpec;
use crate::weights::Weights;

/// Embedding tables and the projection from their width.
#[derive(Clone, Debug)]
pub(super) struct Embedding {
    tokens: Tensor,
    positions: Option<Tensor>,
    project_in: Option<Projection>,
}

impl Embedding {
    pub(super) fn new(spec: &DecoderSpec, weights: &Weights) -> Result<Self> {
        let positions = spec.position_shape().map(|(name, _)| weights.get(&name));
        let project_in = spec
            .projections_around()
            .map(|[project_in, _]| Projection::new(weights, &project_in));
        Ok(Self {
            tokens: weights.get(&spec.embedding_shape().0)?,
            positions: positions.transpose()?,
            project_in: project_in.transpose()?,
        })
    }

    /// The token table [vocabulary, embedding width].
    pub(super) fn tokens(&self) -> &Tensor {
        &self.tokens
    }

    /// The input of the first layer [rows, width].
    pub(super) fn forward(&self, batch: &PackedBatch, spec: &DecoderSpec) -> Result<Tensor> {
        check_tokens(batch, spec.vocabulary)?;
        let mut state = ops::embedding(&self.tokens, batch.tokens().to_vec())?;
        if let Some(project_in) = &self.project_in {
            state = project_in.forward(&state)?;
        }
        if let Some(scale) = spec.embedding.scale {
            state = state.affine(scale, 0.0)?;
        }
        if let (Some(table), Some(learned)) = (&self.positions, &spec.embedding.positions) {
            check_positions(batch, spec.max_positions)?;
            let rows = batch.positions().iter().map(|&p| p + learned.offset as u32);
            state = (state + ops::embedding(table, rows.collect())?)?;
        }
        Ok(state)
    }
}

fn check_tokens(batch: &PackedBatch, vocabulary: usize) -> Result<()> {
    let outside = |token: &&u32| **token as usize >= vocabulary;
    match batch.tokens().iter().find(outside) {
        Some(token) => Err(ModelError::BadInput(format!(
            "token {token} is outside the model's vocabulary of {vocabulary}: tokenizer.json and config.json do not belong together"
        ))),
        None => Ok(()),
    }
}

fn check_positions(batch: &PackedBatch, max_positions: usize) -> Result<()> {
    let longest = batch
        .positions()
        .iter()
        .max()
        .map_or(0, |&p| p as usize + 1);
    if longest > max_positions {
        return Err(ModelError::BadInput(format!(
            "a sequence of {longest} tokens is longer than the {max_positions} positions this model has learned; shorten it"
        )));
    }
    Ok(())
}
