//! The head a piece at a time: logits of some rows for some of the vocabulary, so that [rows, vocabulary] is never stored, and
//! what every measure of logits shares of its backward pass. It knows no measure.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use faer::{Accum, MatRef};
use rayon::prelude::*;

use super::gradient_buffers::{add_all, weight_gradient};
use super::linear::add_rows;
use super::matrix::{
    CpuValues, contiguous, contiguous_matrix, matrix, matrix_mut, product, product_into,
};
use super::vector::{add, kernel, tanh};

/// Logits held at a time: 2 Mi values, 8 MiB, about what stays near the cores.
const LOGITS_PER_PIECE: usize = 2 << 20;
/// Fewer tokens than this make narrow matrix products.
const MIN_TOKENS_PER_PIECE: usize = 1024;

/// What turns hidden states into logits.
#[derive(Clone, Debug)]
pub struct TokenHead {
    /// [vocabulary, width], f32.
    pub weight: Tensor,
    /// `[vocabulary]`, f32.
    pub bias: Option<Tensor>,
    /// c in c · tanh(logit / c).
    pub soft_cap: Option<f32>,
}

impl TokenHead {
    /// The same as a constant.
    pub(super) fn detach(&self) -> Self {
        Self {
            weight: self.weight.detach(),
            bias: self.bias.as_ref().map(Tensor::detach),
            soft_cap: self.soft_cap,
        }
    }

    /// The bias, or an empty tensor in its place.
    pub(super) fn bias_or_empty(&self) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => Ok(bias.clone()),
            None => Tensor::zeros(0, self.weight.dtype(), self.weight.device()),
        }
    }
}

/// A view of hidden states [rows, width], head weights [vocabulary, width] and bias `[vocabulary]` or empty.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) hidden: MatRef<'a, f32>,
    pub(super) weight: MatRef<'a, f32>,
    pub(super) bias: &'a [f32],
    pub(super) soft_cap: Option<f32>,
}

/// Some rows' logits for some of the vocabulary.
pub(super) struct Piece {
    pub(super) rows: Range<usize>,
    pub(super) tokens: Range<usize>,
    /// [rows, tokens], row-major.
    pub(super) logits: Vec<f32>,
}

impl Piece {
    /// Lets each row of the head see its logits, on all threads.
    pub(super) fn for_each_row<R: Row>(&mut self, of_rows: &mut [R]) {
        const ROWS_PER_TASK: usize = 8;
        let (width, tokens) = (self.tokens.len(), &self.tokens);
        let rows = self.logits.par_chunks_mut(width);
        rows.zip(&mut of_rows[self.rows.clone()])
            .with_min_len(ROWS_PER_TASK)
            .for_each(|(logits, row)| show(row, logits, tokens));
    }
}

/// What is kept of a row, or done to it, while its logits go by.
pub(super) trait Row: Send {
    /// The logits of the tokens `tokens`. To be marked `#[inline(always)]`.
    fn see(&mut self, logits: &mut [f32], tokens: &Range<usize>);
}

kernel! {
    fn show<'a, R: Row>(row: &'a mut R, logits: &'a mut [f32], tokens: &'a Range<usize>) {
        row.see(logits, tokens);
    }
}

impl Head<'_> {
    /// All logits, a piece at a time: for a run of rows, one part of the vocabulary after the other.
    pub(super) fn for_each_piece(&self, mut each: impl FnMut(Piece) -> Result<()>) -> Result<()> {
        let (rows, vocabulary) = (self.hidden.nrows(), self.weight.nrows());
        let rows_per_piece = rows.min(LOGITS_PER_PIECE / MIN_TOKENS_PER_PIECE);
        let tokens_per_piece = LOGITS_PER_PIECE / rows_per_piece.max(1);
        for start in (0..rows).step_by(rows_per_piece.max(1)) {
            let rows = start..(start + rows_per_piece).min(rows);
            for start in (0..vocabulary).step_by(tokens_per_piece) {
                let tokens = start..(start + tokens_per_piece).min(vocabulary);
                each(Piece {
                    logits: self.logits(&rows, &tokens),
                    rows: rows.clone(),
                    tokens,
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn logits(&self, rows: &Range<usize>, tokens: &Range<usize>) -> Vec<f32> {
        let hidden = self.hidden.subrows(rows.start, rows.len());
        let weight = self.weight.subrows(tokens.start, tokens.len());
        let mut logits = product(hidden, weight.transpose());
        if self.bias.is_empty() && self.soft_cap.is_none() {
            return logits;
        }
        logits.par_chunks_mut(tokens.len()).for_each(|logits| {
            let biases = self.bias.get(tokens.clone()).unwrap_or_default();
            add(logits, biases);
            if let Some(cap) = self.soft_cap {
                bend(logits, cap);
            }
        });
        logits
    }
}

kernel! {
    /// Caps logits.
    fn bend<'a>(logits: &'a mut [f32], cap: f32) {
        for logit in logits {
            *logit = cap * tanh(*logit / cap);
        }
    }
}

/// The derivative of the cap is 1 − tanh², and the capped logit is c·tanh.
#[inline(always)]
pub(super) fn cap_slope(capped: f32, cap: f32) -> f32 {
    1.0 - (capped / cap) * (capped / cap)
}

/// A value a row that is computed from the row's logits.
pub(super) trait LogitMeasure: Send + Sync {
    /// What errors call it.
    const NAME: &'static str;

    /// The cap of the logits.
    fn soft_cap(&self) -> Option<f32>;

    /// The value of each row.
    fn values(&self, head: Head) -> Result<Vec<f32>>;

    /// Turns the logits of a piece into the gradients of the logits before the cap, given those of all rows' values.
    fn turn(&self, piece: &mut Piece, dvalues: &[f32]) -> Result<()>;
}

/// A measure as an operation on hidden states [rows, width], weight [vocabulary, width] and bias `[vocabulary]` or empty.
struct Measured<M>(M);

impl<M: LogitMeasure> Measured<M> {
    /// Gradients of hidden states [rows, width] and bias for dvalues `[rows]`; that of the weight goes to `dweight`, if it is
    /// wanted.
    fn gradients(
        &self,
        head: Head,
        dvalues: &[f32],
        mut dweight: Option<(&mut [f32], Accum)>,
    ) -> Result<[Vec<f32>; 2]> {
        let width = head.hidden.ncols();
        let mut dhidden = vec![0f32; head.hidden.nrows() * width];
        let mut dbias = vec![0f32; head.bias.len()];
        head.for_each_piece(|mut piece| {
            let tokens = piece.tokens.clone();
            self.0.turn(&mut piece, dvalues)?;
            if let Some(dbias) = dbias.get_mut(tokens.clone()) {
                add_rows(dbias, Accum::Add, &piece.logits);
            }
            let dlogits = matrix(&piece.logits, tokens.len());
            let own = piece.rows.start * width..piece.rows.end * width;
            let weight = head.weight.subrows(tokens.start, tokens.len());
            let dhidden = matrix_mut(&mut dhidden[own], width);
            product_into(dhidden, Accum::Add, dlogits, weight);
            if let Some((dweight, accumulate)) = &mut dweight {
                let is_first = piece.rows.start == 0;
                let accumulate = if is_first { *accumulate } else { Accum::Add };
                let dweight = &mut dweight[tokens.start * width..tokens.end * width];
                let hidden = head.hidden.subrows(piece.rows.start, piece.rows.len());
                let dweight = matrix_mut(dweight, width);
                product_into(dweight, accumulate, dlogits.transpose(), hidden);
            }
            Ok(())
        })?;
        Ok([dhidden, dbias])
    }
}

impl<M: LogitMeasure> CustomOp3 for Measured<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        lh: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let values = self.0.values(Head {
            hidden: contiguous_matrix(M::NAME, h, lh)?,
            weight: contiguous_matrix(M::NAME, w, lw)?,
            bias: contiguous(M::NAME, b, lb)?,
            soft_cap: self.0.soft_cap(),
        })?;
        let shape = Shape::from(values.len());
        Ok((CpuStorage::F32(values), shape))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dvalues = dy.to_vec1::<f32>()?;
        let [h, w, b] = [hidden, weight, bias].map(|t| CpuValues::of(M::NAME, t));
        let head = Head {
            hidden: h.matrix()?,
            weight: w.matrix()?,
            bias: b.slice()?,
            soft_cap: self.0.soft_cap(),
        };
        let mut gradients = None;
        let dweight = weight_gradient(weight, |dweight, accumulate| {
            gradients = Some(self.gradients(head, &dvalues, Some((dweight, accumulate))));
        })?;
        let [dhidden, dbias] = gradients.unwrap_or_else(|| self.gradients(head, &dvalues, None))?;
        let dhidden = Tensor::from_vec(dhidden, hidden.shape(), hidden.device())?;
        let dbias = weight_gradient(bias, |sum, accumulate| {
            add_all(sum, accumulate, &[dbias]);
        })?;
        Ok((Some(dhidden), dweight, dbias))
    }
}

/// The differentiable values `[rows]` of a measure of the logits that `head` gives for hidden [rows, width].
pub(super) fn measured(
    hidden: &Tensor,
    head: &TokenHead,
    measure: impl LogitMeasure + 'static,
) -> Result<Tensor> {
    hidden.apply_op3(&head.weight, &head.bias_or_empty()?, Measured(measure))
}
