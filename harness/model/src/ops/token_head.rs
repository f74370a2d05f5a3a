//! Logits from hidden states, a part of the vocabulary at a time, and what is kept of each row's distribution: never [rows,
//! vocabulary]. Knows no gradients.

use std::ops::Range;

use faer::MatRef;
use rayon::prelude::*;

use super::matrix::product;
use super::vector::{exp, max, sum_of, tanh, wide};

/// Logits held at a time: 2 Mi values, 8 MiB, about what stays near the cores.
const LOGITS_PER_PIECE: usize = 2 << 20;
/// Fewer tokens than this make narrow matrix products.
const MIN_TOKENS_PER_PIECE: usize = 1024;

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
    /// Each row's logits, with `of_rows` (one a row of the head), on all threads.
    pub(super) fn for_each_row<T: Send>(
        &mut self,
        of_rows: &mut [T],
        each: impl Fn(&mut [f32], usize, &mut T) + Sync,
    ) {
        const ROWS_PER_TASK: usize = 8;
        let (width, first) = (self.tokens.len(), self.rows.start);
        let rows = self.logits.par_chunks_mut(width);
        rows.zip(&mut of_rows[self.rows.clone()])
            .enumerate()
            .with_min_len(ROWS_PER_TASK)
            .for_each(|(row, (logits, of_row))| wide(|| each(logits, first + row, of_row)));
    }
}

impl Head<'_> {
    /// All logits, a piece at a time: for a run of rows, one part of the vocabulary after the other.
    pub(super) fn for_each_piece(&self, mut each: impl FnMut(Piece)) {
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
                });
            }
        }
    }

    fn logits(&self, rows: &Range<usize>, tokens: &Range<usize>) -> Vec<f32> {
        let hidden = self.hidden.subrows(rows.start, rows.len());
        let weight = self.weight.subrows(tokens.start, tokens.len());
        let mut logits = product(hidden, weight.transpose());
        if self.bias.is_empty() && self.soft_cap.is_none() {
            return logits;
        }
        logits.par_chunks_mut(tokens.len()).for_each(|logits| {
            wide(|| {
                let biases = self.bias.get(tokens.clone()).unwrap_or_default();
                let pairs = logits.iter_mut().zip(biases);
                pairs.for_each(|(logit, bias)| *logit += bias);
                if let Some(cap) = self.soft_cap {
                    for logit in logits {
                        *logit = cap * tanh(*logit / cap);
                    }
                }
            });
        });
        logits
    }

    /// Normalisers and best tokens of all rows.
    pub(super) fn normalisers(&self, targets: &[u32]) -> Vec<Normaliser> {
        let mut all = vec![Normaliser::default(); targets.len()];
        self.for_each_piece(|mut piece| {
            let tokens = piece.tokens.clone();
            piece.for_each_row(&mut all, |logits, row, normaliser| {
                normaliser.add(logits, &tokens, targets[row] as usize);
            });
        });
        all
    }
}

/// What is known of a row's distribution after some of the vocabulary: sums of exponentials are kept relative to the largest.
#[derive(Clone, Copy)]
pub(super) struct Normaliser {
    largest: f32,
    /// Σ exp(logit − largest).
    sum: f32,
    /// The first token with the largest logit.
    pub(super) best: usize,
    /// The target's logit.
    own: f32,
}

impl Default for Normaliser {
    fn default() -> Self {
        Self {
            largest: f32::NEG_INFINITY,
            sum: 0.0,
            best: usize::MAX,
            own: f32::NAN,
        }
    }
}

impl Normaliser {
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "must be inlined into the target-feature version of its caller"
    )]
    fn add(&mut self, logits: &[f32], tokens: &Range<usize>, target: usize) {
        let largest = max(logits);
        if largest > self.largest {
            let at = logits.iter().position(|&logit| logit >= largest);
            self.best = tokens.start + at.unwrap_or_default();
            self.sum *= exp(self.largest - largest);
            self.largest = largest;
        }
        self.sum += sum_of(logits, |x| exp(x - self.largest));
        if tokens.contains(&target) {
            self.own = logits[target - tokens.start];
        }
    }

    /// Natural logarithm of Σ exp(logits).
    pub(super) fn log_sum_exp(&self) -> f32 {
        self.largest + self.sum.ln()
    }

    pub(super) fn logprob(&self) -> f32 {
        self.own - self.log_sum_exp()
    }
}
