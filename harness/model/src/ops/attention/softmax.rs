//! Softmax over the visible keys of one block's queries, with soft cap and mask, and its gradient.

use super::AttentionRule;
use super::visible::Visible;
use crate::ops::vector::{dot, exp, kernel, max, replace_and_sum, tanh};

/// Attention probabilities of the queries of one block in one head, and what their gradient needs.
pub(super) struct Softmax {
    /// [queries, keys], row-major; 0 where a query does not see a key.
    pub(super) probabilities: Vec<f32>,
    /// Derivatives of capped scores by unscaled ones, of the same shape, if there is a cap.
    slopes: Option<Vec<f32>>,
}

impl Softmax {
    /// `scores` [queries, keys] are the products of queries and keys.
    pub(super) fn new(mut scores: Vec<f32>, visible: &Visible, rule: &AttentionRule) -> Self {
        let slopes = rule.soft_cap.map(|cap| {
            let mut slopes = vec![0f32; scores.len()];
            soft_cap(&mut scores, &mut slopes, rule.scale, cap);
            slopes
        });
        let scale = if slopes.is_some() { 1.0 } else { rule.scale };
        softmax_rows(&mut scores, visible, scale);
        Self {
            probabilities: scores,
            slopes,
        }
    }

    /// Turns dP [queries, keys] into the gradient of unscaled scores, p·(dp − Σ p·dp)·scale; unseen keys have p = 0.
    pub(super) fn backward(&self, dp: &mut [f32], keys: usize, scale: f32) {
        let scale = if self.slopes.is_some() { 1.0 } else { scale };
        softmax_gradients(&self.probabilities, dp, keys, scale);
        if let Some(slopes) = &self.slopes {
            multiply(dp, slopes);
        }
    }
}

kernel! {
    /// Turns the seen scores of each query into probabilities, and the others into 0.
    fn softmax_rows<'a>(scores: &'a mut [f32], visible: &'a Visible, scale: f32) {
        for (query, row) in scores.chunks_mut(visible.keys).enumerate() {
            let seen = visible.keys_of(query);
            row[..seen.start].fill(0.0);
            row[seen.end..].fill(0.0);
            softmax_row(&mut row[seen], scale);
        }
    }
}

kernel! {
    fn softmax_gradients<'a>(p: &'a [f32], dp: &'a mut [f32], keys: usize, scale: f32) {
        for (p, dp) in p.chunks(keys).zip(dp.chunks_mut(keys)) {
            let mean = dot(p, dp);
            for (dp, &p) in dp.iter_mut().zip(p) {
                *dp = p * (*dp - mean) * scale;
            }
        }
    }
}

kernel! {
    fn multiply<'a>(product: &'a mut [f32], factors: &'a [f32]) {
        let pairs = product.iter_mut().zip(factors);
        pairs.for_each(|(product, factor)| *product *= factor);
    }
}

kernel! {
    /// Turns products s into c·tanh(s·scale/c), and `slopes` into the derivatives, scale·(1 − tanh²).
    fn soft_cap<'a>(scores: &'a mut [f32], slopes: &'a mut [f32], scale: f32, cap: f32) {
        for (score, slope) in scores.iter_mut().zip(slopes) {
            let bent = tanh(*score * scale / cap);
            *score = cap * bent;
            *slope = scale * (1.0 - bent * bent);
        }
    }
}

#[inline(always)]
fn softmax_row(scores: &mut [f32], scale: f32) {
    let largest = max(scores);
    let inverse = 1.0 / replace_and_sum(scores, |score| exp((score - largest) * scale));
    for p in scores {
        *p *= inverse;
    }
}
