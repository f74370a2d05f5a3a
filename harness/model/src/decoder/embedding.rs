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
        // As transformers' OPT, whose positions start behind some rows of the table: padding's embedding is a constant, and it stands on
        // the row before the first position.
        let learned = spec.embedding.positions.as_ref();
        let apart = learned.filter(|learned| learned.offset > 0);
        let padding = apart.and_then(|_| batch.hidden_rows());
        if let Some(padding) = &padding {
            state = constant_where(&state, padding)?;
        }
        if let Some(project_in) = &self.project_in {
            state = project_in.forward(&state)?;
        }
        if let Some(scale) = spec.embedding.scale {
            state = state.affine(scale, 0.0)?;
        }
        if let (Some(table), Some(learned)) = (&self.positions, &spec.embedding.positions) {
            check_positions(batch, spec.max_positions)?;
            let offset = learned.offset as u32;
            let mut rows: Vec<u32> = batch.positions().iter().map(|&p| p + offset).collect();
            for (row, is_padding) in rows.iter_mut().zip(padding.into_iter().flatten()) {
                if is_padding {
                    *row = offset - 1;
                }
            }
            state = (state + ops::embedding(table, rows)?)?;
        }
        Ok(state)
    }
}

/// The same rows, those that `chosen` marks without gradient.
fn constant_where(rows: &Tensor, chosen: &[bool]) -> Result<Tensor> {
    let chosen: Vec<u8> = chosen.iter().map(|&chosen| u8::from(chosen)).collect();
    let chosen = Tensor::from_vec(chosen, (rows.dim(0)?, 1), rows.device())?;
    Ok(chosen
        .broadcast_as(rows.shape())?
        .where_cond(&rows.detach(), rows)?)
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
