//! Log-probabilities of chosen tokens straight from hidden states, without ever storing [rows, vocabulary].
//!
//! log softmax(h·Wᵀ + b)[target], logits perhaps capped as c·tanh(logit / c), computed for a part of the vocabulary at a
//! time; the backward pass computes each part again.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use faer::{Accum, MatRef};
use rayon::prelude::*;

use super::gradient_buffers::{add_all, weight_gradient};
use super::linear::add_rows;
use super::matrix::{
    CpuValues, contiguous, contiguous_matrix, matrix, matrix_mut, product, product_into,
};
use super::normaliser::Normaliser;
use super::portable;
use super::vector::{add, exp, kernel, tanh};

/// Logits held at a time: 2 Mi values, 8 MiB, about what stays near the cores.
const LOGITS_PER_PIECE: usize = 2 << 20;
/// Fewer tokens than this make narrow matrix products.
const MIN_TOKENS_PER_PIECE: usize = 1024;

/// What the model thinks of one target token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenScore {
    /// Natural logarithm of the token's probability.
    pub logprob: f32,
    /// Whether no other token is more likely (the first of equals counts as the most likely).
    pub is_argmax: bool,
}

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
    /// The bias, or an empty tensor in its place.
    fn bias_or_empty(&self) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => Ok(bias.clone()),
            None => Tensor::zeros(0, self.weight.dtype(), self.weight.device()),
        }
    }
}

/// A view of hidden states [rows, width], head weights [vocabulary, width] and bias `[vocabulary]` or empty.
#[derive(Clone, Copy)]
struct Head<'a> {
    hidden: MatRef<'a, f32>,
    weight: MatRef<'a, f32>,
    bias: &'a [f32],
    soft_cap: Option<f32>,
}

/// Some rows' logits for some of the vocabulary.
struct Piece {
    rows: Range<usize>,
    tokens: Range<usize>,
    /// [rows, tokens], row-major.
    logits: Vec<f32>,
}

impl Piece {
    /// Lets each row of the head see its logits, on all threads.
    fn for_each_row<R: Row>(&mut self, of_rows: &mut [R]) {
        const ROWS_PER_TASK: usize = 8;
        let (width, tokens) = (self.tokens.len(), &self.tokens);
        let rows = self.logits.par_chunks_mut(width);
        rows.zip(&mut of_rows[self.rows.clone()])
            .with_min_len(ROWS_PER_TASK)
            .for_each(|(logits, row)| show(row, logits, tokens));
    }
}

/// What is kept of a row, or done to it, while its logits go by.
trait Row: Send {
    /// The logits of the tokens `tokens`. To be marked `#[inline(always)]`.
    fn see(&mut self, logits: &mut [f32], tokens: &Range<usize>);
}

kernel! {
    fn show<'a, R: Row>(row: &'a mut R, logits: &'a mut [f32], tokens: &'a Range<usize>) {
        row.see(logits, tokens);
    }
}

impl Row for Normaliser {
    #[inline(always)]
    fn see(&mut self, logits: &mut [f32], tokens: &Range<usize>) {
        self.add(logits, tokens);
    }
}

impl Head<'_> {
    /// All logits, a piece at a time: for a run of rows, one part of the vocabulary after the other.
    fn for_each_piece(&self, mut each: impl FnMut(Piece)) {
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
            let biases = self.bias.get(tokens.clone()).unwrap_or_default();
            add(logits, biases);
            if let Some(cap) = self.soft_cap {
                bend(logits, cap);
            }
        });
        logits
    }

    /// Normalisers and best tokens of all rows.
    fn normalisers(&self, targets: &[u32]) -> Vec<Normaliser> {
        let rows = targets
            .iter()
            .map(|&target| Normaliser::of(target as usize));
        let mut rows: Vec<Normaliser> = rows.collect();
        self.for_each_piece(|mut piece| piece.for_each_row(&mut rows));
        rows
    }
}

struct TokenLogprobs {
    targets: Vec<u32>,
    soft_cap: Option<f32>,
    /// Of each row, from the forward pass.
    log_sum_exps: OnceLock<Vec<f32>>,
}

/// One row of the backward pass.
struct RowGradient {
    target: usize,
    log_sum_exp: f32,
    dlogprob: f32,
    soft_cap: Option<f32>,
}

impl Row for RowGradient {
    /// Turns a row's logits into their gradients, d logits = (onehot − softmax) · dlogprob, the logits being those before the cap.
    #[inline(always)]
    fn see(&mut self, logits: &mut [f32], tokens: &Range<usize>) {
        let at = tokens
            .contains(&self.target)
            .then(|| self.target - tokens.start);
        let own = at.map(|at| logits[at]);
        match self.soft_cap {
            None => {
                for logit in logits.iter_mut() {
                    *logit = -self.dlogprob * exp(*logit - self.log_sum_exp);
                }
            }
            Some(cap) => {
                for logit in logits.iter_mut() {
                    let p = exp(*logit - self.log_sum_exp);
                    *logit = -self.dlogprob * p * cap_slope(*logit, cap);
                }
            }
        }
        if let (Some(at), Some(own)) = (at, own) {
            logits[at] += self.dlogprob * self.soft_cap.map_or(1.0, |cap| cap_slope(own, cap));
        }
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
fn cap_slope(capped: f32, cap: f32) -> f32 {
    1.0 - (capped / cap) * (capped / cap)
}

impl TokenLogprobs {
    /// Gradients of hidden states [rows, width] and bias for dlogprob `[rows]`; that of the weight goes to `dweight`, if it is
    /// wanted.
    fn gradients(
        &self,
        head: Head,
        dlogprobs: &[f32],
        mut dweight: Option<(&mut [f32], Accum)>,
    ) -> [Vec<f32>; 2] {
        let width = head.hidden.ncols();
        let mut dhidden = vec![0f32; self.targets.len() * width];
        let mut dbias = vec![0f32; head.bias.len()];
        let log_sum_exps = self.log_sum_exps.get().map_or(&[][..], Vec::as_slice);
        let rows = self.targets.iter().zip(log_sum_exps).zip(dlogprobs);
        let mut rows: Vec<RowGradient> = rows
            .map(|((&target, &log_sum_exp), &dlogprob)| RowGradient {
                target: target as usize,
                log_sum_exp,
                dlogprob,
                soft_cap: self.soft_cap,
            })
            .collect();
        head.for_each_piece(|mut piece| {
            let tokens = piece.tokens.clone();
            piece.for_each_row(&mut rows);
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
        });
        [dhidden, dbias]
    }
}

impl CustomOp3 for TokenLogprobs {
    fn name(&self) -> &'static str {
        "token_logprobs"
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
        let head = Head {
            hidden: contiguous_matrix(self.name(), h, lh)?,
            weight: contiguous_matrix(self.name(), w, lw)?,
            bias: contiguous(self.name(), b, lb)?,
            soft_cap: self.soft_cap,
        };
        let rows = head.normalisers(&self.targets);
        let log_sum_exps = rows.iter().map(Normaliser::log_sum_exp);
        self.log_sum_exps.get_or_init(|| log_sum_exps.collect());
        let logprobs: Vec<f32> = rows.iter().map(Normaliser::logprob).collect();
        let shape = Shape::from(logprobs.len());
        Ok((CpuStorage::F32(logprobs), shape))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dlogprobs = dy.to_vec1::<f32>()?;
        let [h, w, b] = [hidden, weight, bias].map(|t| CpuValues::of(self.name(), t));
        let head = Head {
            hidden: h.matrix()?,
            weight: w.matrix()?,
            bias: b.slice()?,
            soft_cap: self.soft_cap,
        };
        let mut gradients = None;
        let dweight = weight_gradient(weight, |dweight, accumulate| {
            gradients = Some(self.gradients(head, &dlogprobs, Some((dweight, accumulate))));
        })?;
        let [dhidden, dbias] = gradients.unwrap_or_else(|| self.gradients(head, &dlogprobs, None));
        let dhidden = Tensor::from_vec(dhidden, hidden.shape(), hidden.device())?;
        let dbias = weight_gradient(bias, |sum, accumulate| {
            add_all(sum, accumulate, &[dbias]);
        })?;
        Ok((Some(dhidden), dweight, dbias))
    }
}

fn check(hidden: &Tensor, head: &TokenHead, targets: &[u32]) -> Result<()> {
    let ((rows, width), (vocabulary, weight_width)) = (hidden.dims2()?, head.weight.dims2()?);
    let biases = head.bias.as_ref().map_or(Ok(vocabulary), Tensor::dims1)?;
    if rows != targets.len() || width != weight_width || biases != vocabulary {
        bail!(
            "token_logprobs: hidden {:?}, head {:?}, {biases} biases and {} targets do not fit",
            hidden.shape(),
            head.weight.shape(),
            targets.len()
        );
    }
    match targets
        .iter()
        .find(|&&target| target as usize >= vocabulary)
    {
        Some(target) => {
            bail!("token_logprobs: token {target} is outside the vocabulary of {vocabulary}")
        }
        None => Ok(()),
    }
}

/// Differentiable log-probabilities `[rows]` of `targets` (one a row) given hidden [rows, width] and the head, f32, natural
/// logarithm.
///
/// # Errors
/// When shapes do not fit, a target is outside the vocabulary, or a tensor is not contiguous f32.
pub fn token_logprobs(hidden: &Tensor, head: &TokenHead, targets: Vec<u32>) -> Result<Tensor> {
    check(hidden, head, &targets)?;
    if portable::is_portable(hidden) {
        return portable::token_logprobs(hidden, head, &targets);
    }
    let op = TokenLogprobs {
        targets,
        soft_cap: head.soft_cap,
        log_sum_exps: OnceLock::new(),
    };
    hidden.apply_op3(&head.weight, &head.bias_or_empty()?, op)
}

/// Like [`token_logprobs`], without gradients, and telling for each target whether it is the most likely token.
///
/// # Errors
/// As [`token_logprobs`].
pub fn token_scores(hidden: &Tensor, head: &TokenHead, targets: &[u32]) -> Result<Vec<TokenScore>> {
    check(hidden, head, targets)?;
    if portable::is_portable(hidden) {
        return portable::token_scores(hidden, head, targets);
    }
    let bias = head.bias_or_empty()?;
    let [h, w, b] = [hidden, &head.weight, &bias].map(|t| CpuValues::of("token_scores", t));
    let head = Head {
        hidden: h.matrix()?,
        weight: w.matrix()?,
        bias: b.slice()?,
        soft_cap: head.soft_cap,
    };
    let rows = head.normalisers(targets);
    let scores = rows.iter().zip(targets).map(|(row, &target)| TokenScore {
        logprob: row.logprob(),
        is_argmax: row.best == target as usize,
    });
    Ok(scores.collect())
}
