//! Measures of whole distributions as compositions of differentiable operations. It holds [rows, vocabulary] at once, several
//! times: what a device without a fused operation costs.

use candle_core::{D, Result, Tensor};

use super::linear;
use crate::ops::{Comparison, SoftTargets, TokenHead};

/// Differentiable logits [rows, vocabulary], after the cap.
fn logits(hidden: &Tensor, head: &TokenHead) -> Result<Tensor> {
    let logits = linear(hidden, &head.weight.t()?, head.bias.as_ref())?;
    match head.soft_cap.map(f64::from) {
        Some(cap) => logits.affine(cap.recip(), 0.0)?.tanh()?.affine(cap, 0.0),
        None => Ok(logits),
    }
}

fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let largest = logits.detach().max_keepdim(D::Minus1)?;
    let shifted = logits.broadcast_sub(&largest)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    shifted.broadcast_sub(&log_sum)
}

/// The comparison `[rows]`; shapes are checked by the caller.
pub(in crate::ops) fn compare_with_teacher(
    hidden: &Tensor,
    head: &TokenHead,
    targets: &SoftTargets,
    comparison: Comparison,
) -> Result<Tensor> {
    let own = logits(hidden, head)?;
    let mut teacher = match &targets.teacher {
        None => own.detach(),
        Some((hidden, head)) => logits(hidden, head)?.detach(),
    };
    if let Some(contrast) = &targets.contrast {
        let third = logits(&contrast.hidden, &contrast.head)?.detach();
        let ahead = (third - &teacher)?.relu()?;
        teacher = (teacher - (ahead * f64::from(contrast.alpha))?)?;
    }
    let device = hidden.device();
    let labelled: Vec<(u32, f32)> = targets
        .labels
        .iter()
        .map(|label| label.map_or((0, 0.0), |label| (label, -targets.shift)))
        .collect();
    let (labels, shifts): (Vec<u32>, Vec<f32>) = labelled.into_iter().unzip();
    let labels = Tensor::new(labels, device)?.unsqueeze(1)?;
    let shifts = Tensor::new(shifts, device)?.unsqueeze(1)?;
    teacher = teacher
        .contiguous()?
        .scatter_add(&labels, &shifts, D::Minus1)?;
    let (log_q, log_p) = (log_softmax(&teacher)?, log_softmax(&own)?);
    let difference = match comparison {
        Comparison::Divergence => (&log_q - log_p)?,
        Comparison::CrossEntropy => log_p.neg()?,
    };
    (log_q.exp()? * difference)?.sum(D::Minus1)
}

/// The spread `[rows]`; shapes are checked by the caller.
pub(in crate::ops) fn logit_spread(hidden: &Tensor, head: &TokenHead) -> Result<Tensor> {
    let logits = logits(hidden, head)?;
    let largest = logits.detach().argmax_keepdim(D::Minus1)?;
    logits.gather(&largest, D::Minus1)?.squeeze(1)? - logits.mean(D::Minus1)?
}
