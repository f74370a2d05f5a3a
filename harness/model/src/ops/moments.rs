//! Mean and spread of a row's log-probabilities under its own distribution, from logits that come a part of the vocabulary at
//! a time. Knows no matrices.

use std::ops::Range;

use super::normaliser::Normaliser;
use super::vector::{exp, sum_of};

/// Variances below this count as this: where all weight is on one token, the rest is rounding. The value is that of Min-K%++ in
/// open-unlearning.
pub(super) const LEAST_VARIANCE: f64 = 1e-6;

/// What is further below the largest logit adds nothing.
const LOWEST: f32 = -100.0;

/// A [`Normaliser`] with the first two moments of what is above it, kept relative to the largest logit as its sum is.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    pub(super) normaliser: Normaliser,
    /// Σ exp(x)·x with x = logit − largest.
    first: f32,
    /// Σ exp(x)·x².
    second: f32,
}

impl Moments {
    /// Of a row that is asked for token `target`, before any logits.
    pub(super) fn of(target: usize) -> Self {
        Self {
            normaliser: Normaliser::of(target),
            first: 0.0,
            second: 0.0,
        }
    }

    /// Adds the logits of the tokens `tokens`.
    #[inline(always)]
    pub(super) fn add(&mut self, logits: &[f32], tokens: &Range<usize>) {
        let before = self.normaliser;
        self.normaliser.add(logits, tokens);
        let largest = self.normaliser.largest;
        let shift = (before.largest - largest).max(LOWEST);
        if shift < 0.0 {
            let factor = exp(shift);
            let moved = self.first + shift * before.sum;
            self.second = factor * (self.second + shift * (self.first + moved));
            self.first = factor * moved;
        }
        let below = |logit: f32| (logit - largest).max(LOWEST);
        self.first += sum_of(logits, |logit| exp(below(logit)) * below(logit));
        self.second += sum_of(logits, |logit| {
            exp(below(logit)) * below(logit) * below(logit)
        });
    }

    /// How many standard deviations the target's log-probability is above the mean.
    pub(super) fn standardised(&self) -> f32 {
        let [sum, first, second] = [self.normaliser.sum, self.first, self.second].map(f64::from);
        let mean = first / sum;
        let variance = (second / sum - mean * mean).max(LEAST_VARIANCE);
        // Both are relative to the largest logit.
        let own = f64::from(self.normaliser.logprob()) + sum.ln();
        ((own - mean) / variance.sqrt()) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::Moments;

    #[test]
    fn pieces_change_nothing_and_the_definition_holds() {
        let logits: Vec<f32> = (0..97)
            .map(|i| (i as f32 * 1.7).sin() * 4.0 + i as f32 * 0.05)
            .collect();
        let target = 13;
        let exponentials: Vec<f64> = logits.iter().map(|&x| f64::from(x).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        let moment = |power: i32| -> f64 {
            let terms = exponentials
                .iter()
                .map(|e| e / sum * (e / sum).ln().powi(power));
            terms.sum()
        };
        let own = (exponentials[target] / sum).ln();
        let expected = (own - moment(1)) / (moment(2) - moment(1).powi(2)).sqrt();
        for piece in [1, 10, 97] {
            let mut row = Moments::of(target);
            for (number, part) in logits.chunks(piece).enumerate() {
                row.add(part, &(number * piece..number * piece + part.len()));
            }
            let got = f64::from(row.standardised());
            assert!((got - expected).abs() < 1e-5, "{got} for {expected}");
        }
    }
}
