//! The log-probability of one token from logits that come a part of the vocabulary at a time. Knows no matrices.

use std::ops::Range;

use super::vector::{exp, max, sum_of};

/// What is known of a row's distribution after some of the vocabulary: sums of exponentials are kept relative to the largest.
#[derive(Clone, Copy)]
pub(super) struct Normaliser {
    pub(super) largest: f32,
    /// Σ exp(logit − largest).
    pub(super) sum: f32,
    /// The first token with the largest logit.
    pub(super) best: usize,
    target: usize,
    /// The target's logit.
    own: f32,
}

impl Normaliser {
    /// Of a row that is asked for token `target`, before any logits.
    pub(super) fn of(target: usize) -> Self {
        Self {
            largest: f32::NEG_INFINITY,
            sum: 0.0,
            best: usize::MAX,
            target,
            own: f32::NAN,
        }
    }

    /// Adds the logits of the tokens `tokens`.
    #[inline(always)]
    pub(super) fn add(&mut self, logits: &[f32], tokens: &Range<usize>) {
        let largest = max(logits);
        if largest > self.largest {
            let at = logits.iter().position(|&logit| logit >= largest);
            self.best = tokens.start + at.unwrap_or_default();
            self.sum *= exp(self.largest - largest);
            self.largest = largest;
        }
        self.sum += sum_of(logits, |x| exp(x - self.largest));
        if tokens.contains(&self.target) {
            self.own = logits[self.target - tokens.start];
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
