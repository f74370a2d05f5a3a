//! ROUGE (Lin, 2004) as the rouge-score package computes it: n-grams, longest common subsequence, and the union of the
//! latter over lines; its tokens are ASCII letters and digits, so that texts in other scripts have none and score 0.

mod porter;
mod subsequence;
mod tokens;

use crate::MetricError;
use crate::ngram::{ngram_counts, overlap};
use subsequence::{common_subsequence, union_hits};
pub use tokens::RougeTokenizer;

/// What two texts are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rouge {
    /// Runs of this many tokens: ROUGE-1, ROUGE-2 and so on.
    Ngram(usize),
    /// The longest common subsequence of the whole texts: ROUGE-L.
    L,
    /// For each line of the target, the union of its longest common subsequences with the prediction's lines: ROUGE-Lsum.
    Lsum,
}

/// How much of two texts agrees, each number from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RougeScore {
    /// Share of the prediction.
    pub precision: f64,
    /// Share of the target.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f_measure: f64,
}

impl RougeScore {
    /// Of the hits, and the sizes of both texts; zero where one is empty.
    fn new(hits: usize, target: usize, prediction: usize) -> Self {
        if hits == 0 {
            return Self::default();
        }
        let precision = hits as f64 / prediction as f64;
        let recall = hits as f64 / target as f64;
        Self {
            precision,
            recall,
            f_measure: 2.0 * precision * recall / (precision + recall),
        }
    }
}

/// Compares a prediction with its target.
pub fn rouge(
    variant: Rouge,
    tokenizer: RougeTokenizer,
    target: &str,
    prediction: &str,
) -> RougeScore {
    match variant {
        Rouge::Ngram(order) => {
            let (target, prediction) = (tokenizer.tokens(target), tokenizer.tokens(prediction));
            let target = ngram_counts(&target, order.max(1));
            let prediction = ngram_counts(&prediction, order.max(1));
            let hits = overlap(&target, &prediction);
            RougeScore::new(hits, target.values().sum(), prediction.values().sum())
        }
        Rouge::L => {
            let (target, prediction) = (tokenizer.tokens(target), tokenizer.tokens(prediction));
            let hits = common_subsequence(&target, &prediction).len();
            RougeScore::new(hits, target.len(), prediction.len())
        }
        Rouge::Lsum => {
            let lines = |text: &str| -> Vec<Vec<String>> {
                text.split('\n')
                    .map(|line| tokenizer.tokens(line))
                    .collect()
            };
            let (target, prediction) = (lines(target), lines(prediction));
            let size = |lines: &[Vec<String>]| lines.iter().map(Vec::len).sum();
            let hits = union_hits(&target, &prediction);
            RougeScore::new(hits, size(&target), size(&prediction))
        }
    }
}

/// The score with the target that agrees best by F, the first of several.
///
/// # Errors
/// On no targets.
pub fn rouge_with_best(
    variant: Rouge,
    tokenizer: RougeTokenizer,
    targets: &[impl AsRef<str>],
    prediction: &str,
) -> Result<RougeScore, MetricError> {
    targets
        .iter()
        .map(|target| rouge(variant, tokenizer, target.as_ref(), prediction))
        .reduce(|best, score| {
            if score.f_measure > best.f_measure {
                score
            } else {
                best
            }
        })
        .ok_or(MetricError::Empty {
            metric: "rouge",
            unit: "target",
        })
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn order_matters_to_l_only() {
        let score = |variant| rouge(variant, RougeTokenizer::Plain, "a b c d", "d c b a");
        assert_eq!(score(Rouge::Ngram(1)).f_measure, 1.0);
        assert_eq!(score(Rouge::Ngram(2)).f_measure, 0.0);
        assert_eq!(score(Rouge::L).f_measure, 0.25);
    }

    #[test]
    fn the_best_target_counts() {
        let best =
            |targets: &[&str]| rouge_with_best(Rouge::L, RougeTokenizer::Plain, targets, "the cat");
        assert_eq!(best(&["a dog", "the cat"]).unwrap().f_measure, 1.0);
        assert!(best(&[]).is_err());
    }
}
