//! Log-probabilities of chosen tokens straight from hidden states, without ever storing [rows, vocabulary].
//!
//! log softmax(h·Wᵀ + b)[target], logits perhaps capped as c·tanh(logit / c), computed for a part of the vocabulary at a
//! time; the backward pass computes each part again.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{Result, Tensor, bail};

use super::head::{Head, LogitMeasure, Piece, Row, TokenHead, cap_slope, measured};
use super::matrix::CpuValues;
use super::moments::Moments;
use super::normaliser::Normaliser;
use super::portable;
use super::vector::exp;

/// What the model thinks of one target token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenScore {
    /// Natural logarithm of the token's probability.
    pub logprob: f32,
    /// Whether no other token is more likely (the first of equals counts as the most likely).
    pub is_argmax: bool,
    /// How many standard deviations `logprob` is above the mean of all tokens' log-probabilities, both under the model's own
    /// distribution; where it was asked for.
    pub standardised: Option<f32>,
}

impl Row for Moments {
    #[inline(always)]
    fn see(&mut self, logits: &mut [f32], tokens: &Range<usize>) {
        self.add(logits, tokens);
    }
}

impl Row for Normaliser {
    #[inline(always)]
    fn see(&mut self, logits: &mut [f32], tokens: &Range<usize>) {
        self.add(logits, tokens);
    }
}

/// What all rows are known to be once each has seen its logits.
fn seen<R: Row + Send>(head: &Head, mut rows: Vec<R>) -> Result<Vec<R>> {
    head.for_each_piece(|mut piece| {
        piece.for_each_row(&mut rows);
        Ok(())
    })?;
    Ok(rows)
}

/// Normalisers and best tokens of all rows.
fn normalisers(head: &Head, targets: &[u32]) -> Result<Vec<Normaliser>> {
    let rows = targets.iter();
    seen(
        head,
        rows.map(|&target| Normaliser::of(target as usize))
            .collect(),
    )
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

impl LogitMeasure for TokenLogprobs {
    const NAME: &'static str = "token_logprobs";

    fn soft_cap(&self) -> Option<f32> {
        self.soft_cap
    }

    fn values(&self, head: Head) -> Result<Vec<f32>> {
        let rows = normalisers(&head, &self.targets)?;
        let log_sum_exps = rows.iter().map(Normaliser::log_sum_exp);
        self.log_sum_exps.get_or_init(|| log_sum_exps.collect());
        Ok(rows.iter().map(Normaliser::logprob).collect())
    }

    fn turn(&self, piece: &mut Piece, dlogprobs: &[f32]) -> Result<()> {
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
        piece.for_each_row(&mut rows);
        Ok(())
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
    measured(hidden, head, op)
}

/// Like [`token_logprobs`], without gradients, and telling for each target whether it is the most likely token; with
/// `standardise`, also how far it is above the others.
///
/// # Errors
/// As [`token_logprobs`].
pub fn token_scores(
    hidden: &Tensor,
    head: &TokenHead,
    targets: &[u32],
    standardise: bool,
) -> Result<Vec<TokenScore>> {
    check(hidden, head, targets)?;
    if portable::is_portable(hidden) {
        return portable::token_scores(hidden, head, targets, standardise);
    }
    let bias = head.bias_or_empty()?;
    let [h, w, b] = [hidden, &head.weight, &bias].map(|t| CpuValues::of("token_scores", t));
    let head = Head {
        hidden: h.matrix()?,
        weight: w.matrix()?,
        bias: b.slice()?,
        soft_cap: head.soft_cap,
    };
    let score = |row: &Normaliser, target: u32, standardised| TokenScore {
        logprob: row.logprob(),
        is_argmax: row.best == target as usize,
        standardised,
    };
    if !standardise {
        let rows = normalisers(&head, targets)?;
        let rows = rows.iter().zip(targets);
        return Ok(rows
            .map(|(row, &target)| score(row, target, None))
            .collect());
    }
    let moments = targets.iter().map(|&target| Moments::of(target as usize));
    let rows = seen(&head, moments.collect())?;
    let rows = rows.iter().zip(targets);
    let scores =
        rows.map(|(row, &target)| score(&row.normaliser, target, Some(row.standardised())));
    Ok(scores.collect())
}
