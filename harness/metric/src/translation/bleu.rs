//! BLEU (Papineni et al., 2002) with sacrebleu's defaults: four orders, exponential smoothing, the closest reference length;
//! a score of a corpus, of which one sentence is a case.

use super::{BleuTokenizer, require_some};
use crate::MetricError;
use crate::ngram::{NgramCounts, ngram_counts, overlap};

const ORDERS: usize = 4;

/// What one document brings to BLEU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BleuCounts {
    /// N-grams of the prediction that a reference has, by order.
    matches: [usize; ORDERS],
    /// N-grams of the prediction, by order.
    ngrams: [usize; ORDERS],
    prediction_tokens: usize,
    /// Tokens of the reference whose length is closest to the prediction's, the shorter of two.
    reference_tokens: usize,
}

impl BleuCounts {
    /// Counts one prediction against its references.
    ///
    /// # Errors
    /// On no references.
    pub fn new(
        references: &[impl AsRef<str>],
        prediction: &str,
        tokenizer: BleuTokenizer,
    ) -> Result<Self, MetricError> {
        require_some("bleu", "reference", references)?;
        let prediction = tokenizer.tokens(prediction);
        let references: Vec<Vec<String>> = references
            .iter()
            .map(|reference| tokenizer.tokens(reference.as_ref()))
            .collect();
        let tokens = prediction.len();
        let lengths = references.iter().map(Vec::len);
        let mut counts = Self {
            prediction_tokens: tokens,
            reference_tokens: lengths
                .min_by_key(|&length| (length.abs_diff(tokens), length))
                .unwrap_or_default(),
            ..Self::default()
        };
        for order in 1..=ORDERS {
            counts.ngrams[order - 1] = (tokens + 1).saturating_sub(order);
            counts.matches[order - 1] = overlap(
                &ngram_counts(&prediction, order),
                &most_in_any(&references, order),
            );
        }
        Ok(counts)
    }

    fn add(mut self, other: &Self) -> Self {
        for order in 0..ORDERS {
            self.matches[order] += other.matches[order];
            self.ngrams[order] += other.ngrams[order];
        }
        self.prediction_tokens += other.prediction_tokens;
        self.reference_tokens += other.reference_tokens;
        self
    }

    /// Penalty for predictions shorter than their references.
    fn brevity_penalty(&self) -> f64 {
        if self.prediction_tokens >= self.reference_tokens {
            return 1.0;
        }
        (1.0 - self.reference_tokens as f64 / self.prediction_tokens as f64).exp()
    }
}

/// Each n-gram as often as the reference has it that has it most.
fn most_in_any(references: &[Vec<String>], order: usize) -> NgramCounts<'_, String> {
    let mut most = NgramCounts::new();
    for reference in references {
        for (ngram, count) in ngram_counts(reference, order) {
            let entry = most.entry(ngram).or_default();
            *entry = count.max(*entry);
        }
    }
    most
}

/// BLEU of a corpus, from 0 to 100. An order without a match counts 1/2, the next such 1/4, of a match; a corpus that has no
/// n-grams of an order, or no matches at all, scores 0.
///
/// # Errors
/// On no documents.
pub fn bleu(documents: &[BleuCounts]) -> Result<f64, MetricError> {
    require_some("bleu", "document", documents)?;
    let total = documents
        .iter()
        .fold(BleuCounts::default(), BleuCounts::add);
    if total.matches == [0; ORDERS] || total.ngrams.contains(&0) {
        return Ok(0.0);
    }
    let mut smoothing = 1.0;
    let log_precisions = total
        .matches
        .iter()
        .zip(total.ngrams)
        .map(|(&matches, ngrams)| {
            let matches = if matches == 0 {
                smoothing *= 2.0;
                1.0 / smoothing
            } else {
                matches as f64
            };
            (100.0 * matches / ngrams as f64).ln()
        });
    let mean = log_precisions.sum::<f64>() / ORDERS as f64;
    Ok(total.brevity_penalty() * mean.exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_compare_is_an_error() {
        let none: [&str; 0] = [];
        assert!(BleuCounts::new(&none, "a", BleuTokenizer::default()).is_err());
        assert!(bleu(&[]).is_err());
    }

    #[test]
    fn the_closest_reference_sets_the_length() {
        let references = ["a b c d e f g h", "a b c d e"];
        let counts = BleuCounts::new(&references, "a b c d e f", BleuTokenizer::default());
        assert_eq!(counts.unwrap().reference_tokens, 5);
    }
}
