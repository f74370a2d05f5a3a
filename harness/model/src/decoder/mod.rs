//! The one decoder: runs packed batches for scoring and for training alike, as a [`DecoderSpec`] describes it.
//!
//! It returns hidden states; logits are computed only for the rows somebody asks about. It knows no files and no families.

mod attention;
mod cache;
mod checkpoint;
mod embedding;
mod feed_forward;
mod head;
mod layer;
mod norm;
mod rotation;

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use crate::error::{ModelError, Result};
use crate::ops::{
    Comparison, Contrast, RotaryTable, SoftTargets, TokenScore, compare_with_teacher, logit_spread,
};
use crate::packed::{Block, PackedBatch};
use crate::projection::Projection;
use crate::spec::DecoderSpec;
use crate::weights::Weights;
pub use cache::KeyValueCache;
use cache::PassCache;
use embedding::Embedding;
use head::Head;
use layer::Layer;
use norm::Norm;
use rotation::Rotations;

/// A decoder with its weights. Cheap to clone; clones share weights.
#[derive(Clone, Debug)]
pub struct Decoder {
    spec: Arc<DecoderSpec>,
    embedding: Embedding,
    rotations: Arc<Rotations>,
    layers: Vec<Layer>,
    final_norm: Option<Norm>,
    /// To the embedding's width, where it is another than the decoder's.
    project_out: Option<Projection>,
    head: Head,
    checkpoints_activations: bool,
}

/// What all layers share in one pass.
struct Pass {
    spec: Arc<DecoderSpec>,
    blocks: Arc<Vec<Block>>,
    /// One table for each way to rotate that some layer has.
    rotary_tables: Vec<RotaryTable>,
    /// Of rows that were computed before, where sequences go on.
    cache: Option<PassCache>,
}

impl Decoder {
    /// Puts `weights` (constants or variables) into the shape that `spec` describes.
    ///
    /// # Errors
    /// When a weight is missing.
    pub fn new(spec: DecoderSpec, weights: &Weights) -> Result<Self> {
        let embedding = Embedding::new(&spec, weights)?;
        let rotations = Rotations::new(&spec);
        let layers = (0..spec.layers.len())
            .map(|index| Layer::new(&spec, weights, index, rotations.of_layer(index)))
            .collect::<Result<_>>()?;
        let final_norm = match spec.final_norm_part() {
            Some(part) => Some(Norm::new(&part, &spec.norm, weights)?),
            None => None,
        };
        let project_out = spec
            .projections_around()
            .map(|[_, out]| Projection::new(weights, &out));
        Ok(Self {
            project_out: project_out.transpose()?,
            head: Head::new(&spec, weights, embedding.tokens())?,
            embedding,
            rotations: Arc::new(rotations),
            layers,
            final_norm,
            spec: Arc::new(spec),
            checkpoints_activations: false,
        })
    }

    /// The same decoder, keeping only the input of each layer for gradients and running the layer again when they are
    /// computed: about a third more time for a fraction of the memory. Gradients then go to a
    /// [`GradientSet`](crate::train::GradientSet) only.
    ///
    /// # Errors
    /// When adapters have dropout, whose masks would be others in the second run.
    pub fn with_activation_checkpoints(self) -> Result<Self> {
        if self.layers.iter().any(Layer::has_dropout) {
            let message = "activation checkpoints and dropout in adapters exclude each other";
            return Err(ModelError::BadInput(message.into()));
        }
        Ok(Self {
            checkpoints_activations: true,
            ..self
        })
    }

    /// Whether layers are run again for their gradients.
    pub fn checkpoints_activations(&self) -> bool {
        self.checkpoints_activations
    }

    /// The description this decoder follows.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.embedding.tokens().device()
    }

    /// Hidden states [rows, embedding width] as the head sees them, after the final norm, f32, differentiable if the weights
    /// are variables.
    ///
    /// # Errors
    /// When the batch is empty, holds a token outside the vocabulary or a position outside the learned ones.
    pub fn hidden(&self, batch: &PackedBatch) -> Result<Tensor> {
        let last = self.run(batch, &Arc::new(self.pass(batch)?), |_| {})?;
        self.finished(&last)
    }

    /// Every hidden state [rows, width] as transformers counts them: the embeddings, the output of each layer but the
    /// last, and what [`Self::hidden`] gives.
    ///
    /// # Errors
    /// As [`Self::hidden`].
    pub fn hidden_states(&self, batch: &PackedBatch) -> Result<Vec<Tensor>> {
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        let pass = Arc::new(self.pass(batch)?);
        let last = self.run(batch, &pass, |state| states.push(state.clone()))?;
        states.push(self.finished(&last)?);
        Ok(states)
    }

    /// Hidden states as [`Self::hidden`] gives them, of a batch that goes on from the rows of `cache`
    /// ([`PackedBatch::continuing`] after them), which the batch's rows are added to. Without gradients.
    ///
    /// # Errors
    /// As [`Self::hidden`], and when the batch is numbered otherwise. The cache is empty then.
    pub fn extend(&self, cache: &mut KeyValueCache, batch: &PackedBatch) -> Result<Tensor> {
        self.run_after(cache, batch, None)
    }

    /// As [`Self::extend`], leaving only the rows `kept`, old and new, in the cache, numbered anew in that order.
    ///
    /// # Errors
    /// As [`Self::extend`].
    pub fn extend_keeping(
        &self,
        cache: &mut KeyValueCache,
        batch: &PackedBatch,
        kept: &[Range<usize>],
    ) -> Result<Tensor> {
        if cache.rows() == 0 && kept.is_empty() {
            return Ok(self.hidden(batch)?.detach());
        }
        self.run_after(cache, batch, Some(kept))
    }

    fn run_after(
        &self,
        cache: &mut KeyValueCache,
        batch: &PackedBatch,
        kept: Option<&[Range<usize>]>,
    ) -> Result<Tensor> {
        if batch.first_row() != cache.rows() {
            let message = "a batch must be numbered after the rows that it goes on from";
            return Err(ModelError::BadInput(message.into()));
        }
        let before = PassCache::new(std::mem::take(cache), self.layers.len(), kept);
        let mut pass = self.pass(batch)?;
        pass.cache = Some(before);
        let pass = Arc::new(pass);
        let hidden = self.finished(&self.run(batch, &pass, |_| {})?)?;
        if let Some(after) = Arc::into_inner(pass).and_then(|pass| pass.cache) {
            *cache = after.into_cache(batch.len());
        }
        Ok(hidden.detach())
    }

    fn pass(&self, batch: &PackedBatch) -> Result<Pass> {
        if batch.is_empty() {
            let message = "an empty batch has no hidden states";
            return Err(ModelError::BadInput(message.into()));
        }
        Ok(Pass {
            spec: Arc::clone(&self.spec),
            blocks: Arc::new(batch.blocks().to_vec()),
            rotary_tables: self.rotations.tables(batch),
            cache: None,
        })
    }

    /// Runs the layers; `inspect` sees the input of each.
    fn run(
        &self,
        batch: &PackedBatch,
        pass: &Arc<Pass>,
        mut inspect: impl FnMut(&Tensor),
    ) -> Result<Tensor> {
        let mut state = self.embedding.forward(batch, &self.spec)?;
        for layer in &self.layers {
            inspect(&state);
            // A state that nothing trained has changed would get no gradient, and neither would the layer.
            state = if self.checkpoints_activations && state.track_op() {
                checkpoint::checkpointed(layer, &state, pass)?
            } else {
                layer.forward(&state, pass)?
            };
        }
        Ok(state)
    }

    /// The output of the last layer through the final norm and, where there is one, the projection to the embedding's width.
    fn finished(&self, last: &Tensor) -> Result<Tensor> {
        let normed = norm::applied(self.final_norm.as_ref(), last)?;
        Ok(match &self.project_out {
            Some(project_out) => project_out.forward(&normed)?,
            None => normed,
        })
    }

    /// Logits [rows, vocabulary] of hidden states as [`Self::hidden`] gives them, f32.
    ///
    /// # Errors
    /// When widths do not fit.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.head.logits(hidden)?)
    }

    /// Logits after some rows, one list over the vocabulary a row.
    ///
    /// # Errors
    /// When a row does not exist.
    pub fn logits_of(&self, hidden: &Tensor, rows: &[usize]) -> Result<Vec<Vec<f32>>> {
        Ok(self.head.logits(&self.rows(hidden, rows)?)?.to_vec2()?)
    }

    /// Differentiable log-probabilities `[targets]` of target tokens, each after the row it is paired with.
    ///
    /// # Errors
    /// When a row or token does not exist.
    pub fn token_logprobs(&self, hidden: &Tensor, targets: &[(usize, u32)]) -> Result<Tensor> {
        let (rows, tokens) = self.select(hidden, targets)?;
        Ok(self.head.token_logprobs(&rows, tokens)?)
    }

    /// The same without gradients, and whether each target is the most likely token; with `standardise`, also how many standard
    /// deviations above the mean log-probability it is.
    ///
    /// # Errors
    /// As [`Self::token_logprobs`].
    pub fn token_scores(
        &self,
        hidden: &Tensor,
        targets: &[(usize, u32)],
        standardise: bool,
    ) -> Result<Vec<TokenScore>> {
        let (rows, tokens) = self.select(hidden, targets)?;
        Ok(self.head.token_scores(&rows, &tokens, standardise)?)
    }

    /// How far the model's distribution after each of `rows` is from a teacher's, in nats: `[rows]`, differentiable. The teacher is
    /// a decoder with its hidden states of the same rows, or without one the model itself, as a constant; `shift` is taken off its
    /// logit of each row's label. With `contrast`, a third decoder likewise and a strength alpha, the teacher's logits t are
    /// t − alpha · max(c − t, 0) before that.
    ///
    /// # Errors
    /// When a row or label does not exist, or the vocabularies differ.
    pub fn compare(
        &self,
        hidden: &Tensor,
        rows: &[usize],
        teacher: Option<(&Self, &Tensor)>,
        contrast: Option<(&Self, &Tensor, f32)>,
        (labels, shift): (Vec<Option<u32>>, f32),
        comparison: Comparison,
    ) -> Result<Tensor> {
        let teacher = teacher.map(|(teacher, hidden)| {
            let hidden = self.rows(hidden, rows)?;
            Ok::<_, ModelError>((hidden, teacher.head.0.clone()))
        });
        let contrast = contrast.map(|(third, hidden, alpha)| {
            let hidden = self.rows(hidden, rows)?;
            let head = third.head.0.clone();
            Ok::<_, ModelError>(Contrast {
                hidden,
                head,
                alpha,
            })
        });
        let targets = SoftTargets {
            teacher: teacher.transpose()?,
            contrast: contrast.transpose()?,
            labels,
            shift,
        };
        let hidden = self.rows(hidden, rows)?;
        Ok(compare_with_teacher(
            &hidden,
            &self.head.0,
            &targets,
            comparison,
        )?)
    }

    /// The largest logit less the mean logit after each of `rows`: `[rows]`, differentiable.
    ///
    /// # Errors
    /// When a row does not exist.
    pub fn logit_spread(&self, hidden: &Tensor, rows: &[usize]) -> Result<Tensor> {
        Ok(logit_spread(&self.rows(hidden, rows)?, &self.head.0)?)
    }

    fn rows(&self, hidden: &Tensor, rows: &[usize]) -> Result<Tensor> {
        let rows: Vec<u32> = rows.iter().map(|&row| row as u32).collect();
        Ok(hidden.index_select(&Tensor::new(rows, self.device())?, 0)?)
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
