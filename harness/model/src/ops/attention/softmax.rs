//! Softmax over rows that are spread over several score matrices, with soft cap and mask, and its gradient.

use super::AttentionRule;
use super::visible::Visible;
use crate::ops::vector::{dot, exp, max, sum_of, tanh, wide};

/// Attention probabilities of the queries of one block, and what their gradient needs.
pub(super) struct Softmax {
    /// For each visible range [queries · group, keys of the range]; 0 where a query does not see a key.
    pub(super) probabilities: Vec<Vec<f32>>,
    /// Derivatives of capped scores by unscaled ones, of the same shapes, if there is a cap.
    slopes: Option<Vec<Vec<f32>>>,
}

impl Softmax {
    /// `scores` are the products of queries and keys; row `group · query + i` is query `query` of the block in its i-th head.
    pub(super) fn new(
        mut scores: Vec<Vec<f32>>,
        visible: &Visible,
        group: usize,
        rule: &AttentionRule,
    ) -> Self {
        let slopes = rule
            .soft_cap
            .map(|cap| soft_cap(&mut scores, rule.scale, cap));
        let scale = if slopes.is_some() { 1.0 } else { rule.scale };
        wide(|| {
            for row in 0..visible.queries * group {
                softmax_row(&mut scores, visible, row, row / group, scale);
            }
        });
        Self {
            probabilities: scores,
            slopes,
        }
    }

    /// Turns dP into the gradient of unscaled scores, p·(dp − Σ p·dp)·scale; unseen keys have p = 0.
    pub(super) fn backward(&self, dp: &mut [Vec<f32>], rows: usize, scale: f32) {
        let scale = if self.slopes.is_some() { 1.0 } else { scale };
        wide(|| {
            for row in 0..rows {
                softmax_row_backward(&self.probabilities, dp, row, rows, scale);
            }
        });
        for (dp, slopes) in dp.iter_mut().zip(self.slopes.iter().flatten()) {
            wide(|| {
                dp.iter_mut()
                    .zip(slopes)
                    .for_each(|(dp, &slope)| *dp *= slope);
            });
        }
    }
}

/// Turns products s into c·tanh(s·scale/c) and returns the derivatives, scale·(1 − tanh²).
fn soft_cap(scores: &mut [Vec<f32>], scale: f32, cap: f32) -> Vec<Vec<f32>> {
    let capped = |scores: &mut Vec<f32>| {
        let mut slopes = vec![0f32; scores.len()];
        wide(|| {
            for (score, slope) in scores.iter_mut().zip(&mut slopes) {
                let bent = tanh(*score * scale / cap);
                *score = cap * bent;
                *slope = scale * (1.0 - bent * bent);
            }
        });
        slopes
    };
    scores.iter_mut().map(capped).collect()
}

#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be inlined into the target-feature version of its caller"
)]
fn softmax_row(scores: &mut [Vec<f32>], visible: &Visible, row: usize, query: usize, scale: f32) {
    let keys = visible.keys_of(query);
    let seen = |(width, part): (usize, std::ops::Range<usize>)| {
        row * width + part.start..row * width + part.end
    };
    let largest = (scores.iter().zip(visible.parts(keys.clone())))
        .map(|(scores, part)| max(&scores[seen(part)]))
        .fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (scores, part) in scores.iter_mut().zip(visible.parts(keys.clone())) {
        let seen = &mut scores[seen(part)];
        for score in seen.iter_mut() {
            *score = exp((*score - largest) * scale);
        }
        total += sum_of(seen, |p| p);
    }
    let inverse = 1.0 / total;
    for (scores, (width, part)) in scores.iter_mut().zip(visible.parts(keys)) {
        let row = &mut scores[row * width..(row + 1) * width];
        row[..part.start].fill(0.0);
        row[part.end..].fill(0.0);
        row[part].iter_mut().for_each(|p| *p *= inverse);
    }
}

#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "must be inlined into the target-feature version of its caller"
)]
fn softmax_row_backward(p: &[Vec<f32>], dp: &mut [Vec<f32>], row: usize, rows: usize, scale: f32) {
    let span = |part: &[f32]| row * (part.len() / rows)..(row + 1) * (part.len() / rows);
    let mean: f32 = (p.iter().zip(dp.iter()))
        .map(|(p, dp)| dot(&p[span(p)], &dp[span(dp)]))
        .sum();
    for (p, dp) in p.iter().zip(dp) {
        let span = span(p);
        for (dp, &p) in dp[span.clone()].iter_mut().zip(&p[span]) {
            *dp = p * (*dp - mean) * scale;
        }
    }
}
