//! Log-probabilities of chosen tokens straight from hidden states, without ever storing [rows, vocabulary].
//!
//! log softmax(h·Wᵀ + b)[target], logits perhaps capped as c·tanh(logit / c), computed for a part of the vocabulary at a
//! time; the backward pass computes each part again.

use std::ops::Range;
use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use faer::Accum;

use super::gradient_buffers::{add_all, weight_gradient};
use super::linear::add_rows;
use super::matrix::{CpuValues, contiguous, contiguous_matrix, matrix, matrix_mut, product_into};
use super::token_head::{Head, Normaliser};
use super::vector::exp;

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

impl RowGradient {
    /// Turns a row's logits into their gradients, d logits = (onehot − softmax) · dlogprob, the logits being those before the cap.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "must be inlined into the target-feature version of its caller"
    )]
    fn apply(&self, logits: &mut [f32], tokens: &Range<usize>) {
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

/// The derivative of the cap is 1 − tanh², and the capped logit is c·tanh.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be inlined into the vectorised loop"
)]
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
            piece.for_each_row(&mut rows, |logits, _, row| row.apply(logits, &tokens));
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
/// When shapes do not fit, a target is outside the vocabulary, or a tensor is not contiguous f32 on the CPU.
pub fn token_logprobs(hidden: &Tensor, head: &TokenHead, targets: Vec<u32>) -> Result<Tensor> {
    check(hidden, head, &targets)?;
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
