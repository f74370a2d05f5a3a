//! Log-probabilities of chosen tokens straight from hidden states, without ever storing [rows, vocabulary].
//!
//! log softmax(h·Wᵀ)[target], computed a few rows at a time; the backward pass recomputes each piece.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};

use super::matrix::{Matrix, contiguous};
use super::vector::{exp, max, sum_of, wide};

/// Logits held at a time: 4 Mi values, 16 MiB.
const LOGITS_PER_PIECE: usize = 4 << 20;

/// What the model thinks of one target token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenScore {
    /// Natural logarithm of the token's probability.
    pub logprob: f32,
    /// Whether no other token is more likely (the first of equals counts as the most likely).
    pub is_argmax: bool,
}

/// A view of hidden states [rows, width] and head weights [vocabulary, width].
#[derive(Clone, Copy)]
struct Head<'a> {
    hidden: &'a CpuStorage,
    hidden_offset: usize,
    weight: &'a CpuStorage,
    weight_offset: usize,
    width: usize,
    vocabulary: usize,
}

impl<'a> Head<'a> {
    fn new(
        hidden: &'a CpuStorage,
        lh: &Layout,
        weight: &'a CpuStorage,
        lw: &Layout,
    ) -> Result<Self> {
        contiguous("token_logprobs", hidden, lh)?;
        contiguous("token_logprobs", weight, lw)?;
        let (vocabulary, width) = lw.shape().dims2()?;
        Ok(Self {
            hidden,
            hidden_offset: lh.start_offset(),
            weight,
            weight_offset: lw.start_offset(),
            width,
            vocabulary,
        })
    }

    fn rows_per_piece(&self) -> usize {
        (LOGITS_PER_PIECE / self.vocabulary).max(1)
    }

    fn hidden_rows(&self, start: usize, rows: usize) -> Matrix<'a> {
        Matrix::rows(
            self.hidden,
            self.hidden_offset + start * self.width,
            rows,
            self.width,
            self.width,
        )
    }

    fn weight(&self) -> Matrix<'a> {
        Matrix::rows(
            self.weight,
            self.weight_offset,
            self.vocabulary,
            self.width,
            self.width,
        )
    }

    fn logits(&self, start: usize, rows: usize) -> Result<Vec<f32>> {
        self.hidden_rows(start, rows)
            .times(self.weight().transposed())
    }

    /// Calls `each` with the row number and logits of every target.
    fn for_each_row(&self, targets: &[u32], mut each: impl FnMut(usize, &[f32])) -> Result<()> {
        let pieces = targets.chunks(self.rows_per_piece()).enumerate();
        for (piece, targets) in pieces {
            let start = piece * self.rows_per_piece();
            let logits = self.logits(start, targets.len())?;
            wide(|| {
                for (i, logits) in logits.chunks(self.vocabulary).enumerate() {
                    each(start + i, logits);
                }
            });
        }
        Ok(())
    }
}

/// Natural logarithm of Σ exp(logits).
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be inlined into the target-feature version of its caller"
)]
fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = max(logits);
    largest + sum_of(logits, |x| exp(x - largest)).ln()
}

struct TokenLogprobs {
    targets: Vec<u32>,
}

impl TokenLogprobs {
    /// Gradients of hidden states and head weights for dlogprob [rows]: d logits = (onehot − softmax) · dlogprob.
    fn gradients(&self, head: Head, dlogprobs: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let mut dhidden = Vec::with_capacity(self.targets.len() * head.width);
        let mut dweight = vec![0f32; head.vocabulary * head.width];
        for (piece, targets) in self.targets.chunks(head.rows_per_piece()).enumerate() {
            let start = piece * head.rows_per_piece();
            let mut logits = head.logits(start, targets.len())?;
            wide(|| {
                for (i, (logits, &target)) in
                    logits.chunks_mut(head.vocabulary).zip(targets).enumerate()
                {
                    let (normaliser, scale) = (log_sum_exp(logits), dlogprobs[start + i]);
                    for logit in logits.iter_mut() {
                        *logit = -scale * exp(*logit - normaliser);
                    }
                    logits[target as usize] += scale;
                }
            });
            let dlogits = CpuStorage::F32(logits);
            let dlogits = Matrix::whole(&dlogits, targets.len(), head.vocabulary);
            dhidden.extend(dlogits.times(head.weight())?);
            let piece = dlogits
                .transposed()
                .times(head.hidden_rows(start, targets.len()))?;
            wide(|| {
                dweight
                    .iter_mut()
                    .zip(&piece)
                    .for_each(|(sum, part)| *sum += part);
            });
        }
        Ok((dhidden, dweight))
    }
}

impl CustomOp2 for TokenLogprobs {
    fn name(&self) -> &'static str {
        "token_logprobs"
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        lh: &Layout,
        w: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut logprobs = vec![0f32; self.targets.len()];
        Head::new(h, lh, w, lw)?.for_each_row(&self.targets, |row, logits| {
            logprobs[row] = logits[self.targets[row] as usize] - log_sum_exp(logits);
        })?;
        let shape = Shape::from(logprobs.len());
        Ok((CpuStorage::F32(logprobs), shape))
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dlogprobs = dy.to_vec1::<f32>()?;
        let (dhidden, dweight) =
            with_head(hidden, weight, |head| self.gradients(head, &dlogprobs))?;
        let dhidden = Tensor::from_vec(dhidden, hidden.shape(), hidden.device())?;
        Ok((
            Some(dhidden),
            Some(Tensor::from_vec(dweight, weight.shape(), weight.device())?),
        ))
    }
}

fn with_head<R>(
    hidden: &Tensor,
    weight: &Tensor,
    work: impl FnOnce(Head) -> Result<R>,
) -> Result<R> {
    let ((h, lh), (w, lw)) = (hidden.storage_and_layout(), weight.storage_and_layout());
    match (&*h, &*w) {
        (Storage::Cpu(h), Storage::Cpu(w)) => work(Head::new(h, lh, w, lw)?),
        _ => bail!("token_logprobs: CPU tensors only"),
    }
}

fn check(hidden: &Tensor, weight: &Tensor, targets: &[u32]) -> Result<()> {
    let ((rows, width), (vocabulary, weight_width)) = (hidden.dims2()?, weight.dims2()?);
    if rows != targets.len() || width != weight_width {
        bail!(
            "token_logprobs: hidden {:?}, head {:?} and {} targets do not fit",
            hidden.shape(),
            weight.shape(),
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

/// Differentiable log-probabilities [rows] of `targets` (one a row) given hidden [rows, width] and head weight
/// [vocabulary, width], f32, natural logarithm.
///
/// # Errors
/// When shapes do not fit, a target is outside the vocabulary, or a tensor is not contiguous f32 on the CPU.
pub fn token_logprobs(hidden: &Tensor, weight: &Tensor, targets: Vec<u32>) -> Result<Tensor> {
    check(hidden, weight, &targets)?;
    hidden.apply_op2(weight, TokenLogprobs { targets })
}

/// Like [`token_logprobs`], without gradients, and telling for each target whether it is the most likely token.
///
/// # Errors
/// As [`token_logprobs`].
pub fn token_scores(hidden: &Tensor, weight: &Tensor, targets: &[u32]) -> Result<Vec<TokenScore>> {
    check(hidden, weight, targets)?;
    with_head(hidden, weight, |head| {
        let mut scores = Vec::with_capacity(targets.len());
        head.for_each_row(targets, |row, logits| {
            let target = targets[row] as usize;
            let (own, best) = (logits[target], max(logits));
            let is_argmax = own >= best && !logits[..target].contains(&best);
            scores.push(TokenScore {
                logprob: own - log_sum_exp(logits),
                is_argmax,
            });
        })?;
        Ok(scores)
    })
}
