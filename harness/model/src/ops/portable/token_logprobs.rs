//! Log-probabilities of chosen tokens from hidden states, some rows at a time; the backward pass computes logits again. All
//! logits of a batch are never there at once.

use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor,
};

use super::{Precomputed, linear};
use crate::ops::moments::LEAST_VARIANCE;
use crate::ops::{TokenHead, TokenScore};

/// Logits held at a time: 32 Mi values, 128 MiB.
const LOGITS_PER_PIECE: usize = 32 << 20;

/// Differentiable log-probabilities `[rows]` of `targets` given hidden [rows, width], whose shapes are checked by the caller.
pub(in crate::ops) fn token_logprobs(
    hidden: &Tensor,
    head: &TokenHead,
    targets: &[u32],
) -> Result<Tensor> {
    let rows = (LOGITS_PER_PIECE / head.weight.dim(0)?).max(1);
    logprobs_by_pieces(hidden, head, targets, rows)
}

fn logprobs_by_pieces(
    hidden: &Tensor,
    head: &TokenHead,
    targets: &[u32],
    rows_per_piece: usize,
) -> Result<Tensor> {
    let op = TokenLogprobs::new(hidden, head, targets, rows_per_piece)?;
    match &head.bias {
        Some(bias) => hidden.apply_op3(&head.weight, bias, op),
        None => hidden.apply_op2(&head.weight, op),
    }
}

/// Scores of `targets` given hidden [rows, width], whose shapes are checked by the caller.
pub(in crate::ops) fn token_scores(
    hidden: &Tensor,
    head: &TokenHead,
    targets: &[u32],
    standardise: bool,
) -> Result<Vec<TokenScore>> {
    let rows_per_piece = (LOGITS_PER_PIECE / head.weight.dim(0)?).max(1);
    let mut scores = Vec::with_capacity(targets.len());
    for (start, count) in pieces(targets.len(), rows_per_piece) {
        let targets = &targets[start..start + count];
        let own_targets = Tensor::new(targets, hidden.device())?.unsqueeze(1)?;
        let logits = Logits::of(&hidden.narrow(0, start, count)?, head)?;
        let logprobs = logits.logprobs(&own_targets)?.to_vec1::<f32>()?;
        let best = logits.first_of_the_largest()?.to_vec1::<u32>()?;
        let standardised = if standardise {
            let values = logits.standardised(&own_targets)?.to_vec1::<f32>()?;
            values.into_iter().map(Some).collect()
        } else {
            vec![None; count]
        };
        let rows = logprobs.into_iter().zip(best).zip(targets);
        let rows = rows.zip(standardised);
        scores.extend(
            rows.map(|(((logprob, best), &target), standardised)| TokenScore {
                logprob,
                is_argmax: best == target,
                standardised,
            }),
        );
    }
    Ok(scores)
}

/// (first row, number of rows) of each piece.
fn pieces(rows: usize, rows_per_piece: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = (0..rows).step_by(rows_per_piece);
    starts.map(move |start| (start, rows_per_piece.min(rows - start)))
}

/// Logits [rows, vocabulary] without gradients, after the cap, and ln Σ exp of each row [rows, 1].
struct Logits {
    values: Tensor,
    largest: Tensor,
    log_sum_exp: Tensor,
}

impl Logits {
    fn of(hidden: &Tensor, head: &TokenHead) -> Result<Self> {
        let bias = head.bias.as_ref().map(Tensor::detach);
        let weight = head.weight.detach().t()?;
        let mut values = linear(&hidden.detach(), &weight, bias.as_ref())?;
        if let Some(cap) = head.soft_cap.map(f64::from) {
            values = values.affine(cap.recip(), 0.0)?.tanh()?.affine(cap, 0.0)?;
        }
        let largest = values.max_keepdim(D::Minus1)?;
        let exponentials = values.broadcast_sub(&largest)?.exp()?;
        let log_sum_exp = (exponentials.sum_keepdim(D::Minus1)?.log()? + &largest)?;
        Ok(Self {
            values,
            largest,
            log_sum_exp,
        })
    }

    /// `[rows]` for targets [rows, 1].
    fn logprobs(&self, targets: &Tensor) -> Result<Tensor> {
        (self.values.gather(targets, D::Minus1)? - &self.log_sum_exp)?.squeeze(1)
    }

    /// `[rows]` for targets [rows, 1]: standard deviations above the mean log-probability.
    fn standardised(&self, targets: &Tensor) -> Result<Tensor> {
        let logprobs = self.values.broadcast_sub(&self.log_sum_exp)?;
        let probabilities = logprobs.exp()?;
        let mean = (&probabilities * &logprobs)?.sum_keepdim(D::Minus1)?;
        let distances = logprobs.broadcast_sub(&mean)?;
        let variance = (probabilities * distances.sqr()?)?.sum_keepdim(D::Minus1)?;
        let deviation = variance.maximum(LEAST_VARIANCE)?.sqrt()?;
        (distances.gather(targets, D::Minus1)? / deviation)?.squeeze(1)
    }

    /// `[rows]`: of equals the first, whatever the order in which a device looks at them.
    fn first_of_the_largest(&self) -> Result<Tensor> {
        let (shape, device) = (self.values.shape(), self.values.device());
        let vocabulary = self.values.dim(1)? as u32;
        let tokens = Tensor::arange(0, vocabulary, device)?.broadcast_as(shape)?;
        let none = Tensor::new(vocabulary, device)?.broadcast_as(shape)?;
        let is_largest = self.values.broadcast_ge(&self.largest)?;
        is_largest.where_cond(&tokens, &none)?.min(D::Minus1)
    }

    /// d logits = (onehot − softmax) · dlogprob, the logits being those before the cap; targets and dlogprobs [rows, 1].
    fn gradient(&self, targets: &Tensor, dlogprobs: &Tensor, cap: Option<f32>) -> Result<Tensor> {
        let softmax = self.values.broadcast_sub(&self.log_sum_exp)?.exp()?;
        let gradient =
            softmax
                .broadcast_mul(&dlogprobs.neg()?)?
                .scatter_add(targets, dlogprobs, D::Minus1)?;
        match cap.map(f64::from) {
            None => Ok(gradient),
            // The derivative of the cap is 1 − tanh², and the capped logit is c·tanh.
            Some(cap) => {
                gradient
                    * self
                        .values
                        .affine(cap.recip(), 0.0)?
                        .sqr()?
                        .affine(-1.0, 1.0)?
            }
        }
    }
}

struct TokenLogprobs {
    /// [rows, 1].
    targets: Tensor,
    soft_cap: Option<f32>,
    rows_per_piece: usize,
    logprobs: Precomputed,
}

impl TokenLogprobs {
    fn new(
        hidden: &Tensor,
        head: &TokenHead,
        targets: &[u32],
        rows_per_piece: usize,
    ) -> Result<Self> {
        let targets = Tensor::new(targets, hidden.device())?.unsqueeze(1)?;
        let mut logprobs = Vec::new();
        for (start, count) in pieces(hidden.dim(0)?, rows_per_piece) {
            let logits = Logits::of(&hidden.narrow(0, start, count)?, head)?;
            logprobs.push(logits.logprobs(&targets.narrow(0, start, count)?)?);
        }
        Ok(Self {
            targets,
            soft_cap: head.soft_cap,
            rows_per_piece,
            logprobs: Precomputed::new(&Tensor::cat(&logprobs, 0)?)?,
        })
    }

    /// Gradients of hidden states, weight and bias; of the latter two where they are wanted.
    fn gradients(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        dlogprobs: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let head = TokenHead {
            weight: weight.detach(),
            bias: bias.map(Tensor::detach),
            soft_cap: self.soft_cap,
        };
        let dlogprobs = dlogprobs.contiguous()?.unsqueeze(1)?;
        let (mut dhidden, mut dweight, mut dbias) = (Vec::new(), None, None);
        for (start, count) in pieces(hidden.dim(0)?, self.rows_per_piece) {
            let hidden = hidden.detach().narrow(0, start, count)?;
            let own = |of: &Tensor| of.narrow(0, start, count);
            let logits = Logits::of(&hidden, &head)?;
            let dlogits =
                logits.gradient(&own(&self.targets)?, &own(&dlogprobs)?, self.soft_cap)?;
            dhidden.push(dlogits.matmul(&head.weight)?);
            if weight.track_op() {
                dweight = Some(plus(dweight, dlogits.t()?.matmul(&hidden)?)?);
            }
            if bias.is_some_and(Tensor::track_op) {
                dbias = Some(plus(dbias, dlogits.sum(0)?)?);
            }
        }
        Ok([Some(Tensor::cat(&dhidden, 0)?), dweight, dbias])
    }
}

fn plus(sum: Option<Tensor>, part: Tensor) -> Result<Tensor> {
    match sum {
        Some(sum) => sum + part,
        None => Ok(part),
    }
}

impl CustomOp2 for TokenLogprobs {
    fn name(&self) -> &'static str {
        "token_logprobs"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.logprobs.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.logprobs.cuda()
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dhidden, dweight, _] = self.gradients(hidden, weight, None, dy)?;
        Ok((dhidden, dweight))
    }
}

/// With a bias.
impl CustomOp3 for TokenLogprobs {
    fn name(&self) -> &'static str {
        "token_logprobs"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.logprobs.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.logprobs.cuda()
    }

    fn bwd(
        &self,
        hidden: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dhidden, dweight, dbias] = self.gradients(hidden, weight, Some(bias), dy)?;
        Ok((dhidden, dweight, dbias))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::{TokenHead, logprobs_by_pieces};
    use candle_core::{Device, Tensor, Var};

    #[test]
    fn pieces_change_neither_values_nor_gradients() {
        let wave = |rows: usize, columns: usize| {
            let values = (0..rows * columns).map(|i| (i as f32 * 1.7).sin());
            let values: Vec<f32> = values.collect();
            let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
            Var::from_tensor(&tensor).unwrap()
        };
        let (hidden, weight) = (wave(7, 4), wave(9, 4));
        let head = TokenHead {
            weight: weight.as_tensor().clone(),
            bias: None,
            soft_cap: Some(2.0),
        };
        let run = |rows_per_piece| {
            let targets = [1, 8, 0, 3, 3, 5, 2];
            let logprobs = logprobs_by_pieces(&hidden, &head, &targets, rows_per_piece).unwrap();
            let gradients = logprobs.sum_all().unwrap().backward().unwrap();
            let of = |variable: &Var| gradients.get(variable).unwrap().flatten_all().unwrap();
            let all = Tensor::cat(&[logprobs, of(&hidden), of(&weight)], 0).unwrap();
            all.to_vec1::<f32>().unwrap()
        };
        let whole = run(7);
        for rows_per_piece in [1, 3] {
            let parts = run(rows_per_piece);
            let pairs = parts.iter().zip(&whole);
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }
}
