//! Log-probabilities of chosen tokens straight from hidden states, without ever storing [rows, vocabulary].
//!
//! log softmax(h·Wᵀ + b)[target], logits perhaps capped as c·tanh(logit / c), computed a few rows at a time; the backward pass recomputes each piece.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};

use super::matrix::{Matrix, contiguous};
use super::vector::{exp, max, sum_of, tanh, wide};

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
    hidden: &'a CpuStorage,
    hidden_offset: usize,
    weight: &'a CpuStorage,
    weight_offset: usize,
    bias: &'a [f32],
    soft_cap: Option<f32>,
    width: usize,
    vocabulary: usize,
}

impl<'a> Head<'a> {
    fn new(
        (hidden, lh): (&'a CpuStorage, &Layout),
        (weight, lw): (&'a CpuStorage, &Layout),
        (bias, lb): (&'a CpuStorage, &Layout),
        soft_cap: Option<f32>,
    ) -> Result<Self> {
        contiguous("token_logprobs", hidden, lh)?;
        contiguous("token_logprobs", weight, lw)?;
        let (vocabulary, width) = lw.shape().dims2()?;
        Ok(Self {
            hidden,
            hidden_offset: lh.start_offset(),
            weight,
            weight_offset: lw.start_offset(),
            bias: contiguous("token_logprobs", bias, lb)?,
            soft_cap,
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
        let hidden = self.hidden_rows(start, rows);
        let mut logits = hidden.times(self.weight().transposed())?;
        wide(|| {
            for logits in logits.chunks_mut(self.vocabulary) {
                logits
                    .iter_mut()
                    .zip(self.bias)
                    .for_each(|(logit, bias)| *logit += bias);
                if let Some(cap) = self.soft_cap {
                    for logit in logits {
                        *logit = cap * tanh(*logit / cap);
                    }
                }
            }
        });
        Ok(logits)
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
    soft_cap: Option<f32>,
}

/// Turns a row's logits into d logprob / d logits · scale, the logits being those before the cap.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be inlined into the target-feature version of its caller"
)]
fn logit_gradients(logits: &mut [f32], target: usize, scale: f32, soft_cap: Option<f32>) {
    let normaliser = log_sum_exp(logits);
    let own = logits[target];
    match soft_cap {
        None => {
            for logit in logits.iter_mut() {
                *logit = -scale * exp(*logit - normaliser);
            }
            logits[target] += scale;
        }
        Some(cap) => {
            // The derivative of the cap is 1 − tanh², and the capped logit is c·tanh.
            let slope = |capped: f32| 1.0 - (capped / cap) * (capped / cap);
            for logit in logits.iter_mut() {
                *logit = -scale * exp(*logit - normaliser) * slope(*logit);
            }
            logits[target] += scale * slope(own);
        }
    }
}

impl TokenLogprobs {
    /// Gradients of hidden states, head weights and bias for dlogprob `[rows]`: d logits = (onehot − softmax) · dlogprob.
    fn gradients(&self, head: Head, dlogprobs: &[f32]) -> Result<[Vec<f32>; 3]> {
        let mut dhidden = Vec::with_capacity(self.targets.len() * head.width);
        let mut dweight = vec![0f32; head.vocabulary * head.width];
        let mut dbias = vec![0f32; head.bias.len()];
        for (piece, targets) in self.targets.chunks(head.rows_per_piece()).enumerate() {
            let start = piece * head.rows_per_piece();
            let mut logits = head.logits(start, targets.len())?;
            wide(|| {
                let rows = logits.chunks_mut(head.vocabulary).zip(targets);
                for ((logits, &target), &scale) in rows.zip(&dlogprobs[start..]) {
                    logit_gradients(logits, target as usize, scale, self.soft_cap);
                    add(&mut dbias, logits);
                }
            });
            let dlogits = CpuStorage::F32(logits);
            let dlogits = Matrix::whole(&dlogits, targets.len(), head.vocabulary);
            dhidden.extend(dlogits.times(head.weight())?);
            let piece = dlogits
                .transposed()
                .times(head.hidden_rows(start, targets.len()))?;
            wide(|| add(&mut dweight, &piece));
        }
        Ok([dhidden, dweight, dbias])
    }
}

/// Adds as many elements as `sum` has.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be inlined into the target-feature version of its caller"
)]
fn add(sum: &mut [f32], part: &[f32]) {
    sum.iter_mut()
        .zip(part)
        .for_each(|(sum, part)| *sum += part);
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
        let mut logprobs = vec![0f32; self.targets.len()];
        let head = Head::new((h, lh), (w, lw), (b, lb), self.soft_cap)?;
        head.for_each_row(&self.targets, |row, logits| {
            logprobs[row] = logits[self.targets[row] as usize] - log_sum_exp(logits);
        })?;
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
        let gradients = with_head(hidden, weight, bias, self.soft_cap, |head| {
            self.gradients(head, &dlogprobs)
        });
        let [dhidden, dweight, dbias] = gradients?;
        let like = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        let dhidden = like(dhidden, hidden)?;
        Ok((
            Some(dhidden),
            Some(like(dweight, weight)?),
            Some(like(dbias, bias)?),
        ))
    }
}

fn with_head<R>(
    hidden: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    soft_cap: Option<f32>,
    work: impl FnOnce(Head) -> Result<R>,
) -> Result<R> {
    let (h, lh) = hidden.storage_and_layout();
    let (w, lw) = weight.storage_and_layout();
    let (b, lb) = bias.storage_and_layout();
    match (&*h, &*w, &*b) {
        (Storage::Cpu(h), Storage::Cpu(w), Storage::Cpu(b)) => {
            work(Head::new((h, lh), (w, lw), (b, lb), soft_cap)?)
        }
        _ => bail!("token_logprobs: CPU tensors only"),
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
    with_head(hidden, &head.weight, &bias, head.soft_cap, |head| {
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
