//! chrF and chrF++ (Popović, 2015 and 2017) as sacrebleu computes them: n-grams of six orders of characters, and of words if
//! asked for, with β = 2; keeps case, drops white space.

use super::require_some;
use crate::MetricError;
use crate::ngram::{NgramCounts, ngram_counts, overlap};
use crate::white_space::python_words;

const CHARACTER_ORDERS: usize = 6;
const WORD_ORDERS: usize = 2;

/// β², the weight of recall against precision.
const RECALL_WEIGHT: f64 = 4.0;

/// Which n-grams count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chrf {
    /// Characters only: lm-eval's `chrf`.
    #[default]
    Characters,
    /// Characters, and words and pairs of words: chrF++.
    CharactersAndWords,
}

/// One order's n-grams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct OrderCounts {
    predicted: usize,
    referenced: usize,
    both: usize,
}

/// What one document brings to chrF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChrfCounts {
    /// Characters first. Orders of words that were not asked for stay zero, and so count for nothing.
    orders: [OrderCounts; CHARACTER_ORDERS + WORD_ORDERS],
}

/// A text as its characters and its words.
struct Pieces<'t> {
    characters: Vec<char>,
    words: Vec<&'t str>,
}

impl<'t> Pieces<'t> {
    fn new(text: &'t str, variant: Chrf) -> Self {
        let words = match variant {
            Chrf::Characters => Vec::new(),
            Chrf::CharactersAndWords => python_words(text).flat_map(without_punctuation).collect(),
        };
        Self {
            characters: python_words(text).flat_map(str::chars).collect(),
            words,
        }
    }
}

/// A word and the punctuation mark at its end, or else at its start; marks further in stay.
fn without_punctuation(word: &str) -> impl Iterator<Item = &str> {
    let is_mark = |character: char| character.is_ascii_punctuation();
    let is_long = word.chars().nth(1).is_some();
    let cut = if is_long && word.ends_with(is_mark) {
        word.len() - 1
    } else {
        usize::from(is_long && word.starts_with(is_mark))
    };
    let (start, end) = word.split_at(cut);
    [start, end].into_iter().filter(|part| !part.is_empty())
}

impl ChrfCounts {
    /// Counts one prediction against that of its references which it scores best with, the first of several.
    ///
    /// # Errors
    /// On no references.
    pub fn new(
        references: &[impl AsRef<str>],
        prediction: &str,
        variant: Chrf,
    ) -> Result<Self, MetricError> {
        require_some("chrf", "reference", references)?;
        let prediction = Pieces::new(prediction, variant);
        let mut best = Self::default();
        let mut best_score = -1.0;
        for reference in references {
            let counts = Self::against(&Pieces::new(reference.as_ref(), variant), &prediction);
            let score = counts.score();
            if score > best_score {
                (best, best_score) = (counts, score);
            }
        }
        Ok(best)
    }

    fn against(reference: &Pieces<'_>, prediction: &Pieces<'_>) -> Self {
        let mut counts = Self::default();
        let (characters, words) = counts.orders.split_at_mut(CHARACTER_ORDERS);
        for (order, counts) in characters.iter_mut().enumerate() {
            *counts = order_counts(&reference.characters, &prediction.characters, order + 1);
        }
        for (order, counts) in words.iter_mut().enumerate() {
            *counts = order_counts(&reference.words, &prediction.words, order + 1);
        }
        counts
    }

    fn add(mut self, other: &Self) -> Self {
        for (total, counts) in self.orders.iter_mut().zip(other.orders) {
            total.predicted += counts.predicted;
            total.referenced += counts.referenced;
            total.both += counts.both;
        }
        self
    }

    /// F of the means of precision and recall over the orders that both sides have, times 100.
    fn score(&self) -> f64 {
        let present: Vec<&OrderCounts> = self
            .orders
            .iter()
            .filter(|counts| counts.predicted > 0 && counts.referenced > 0)
            .collect();
        if present.is_empty() {
            return 0.0;
        }
        let mean = |share: fn(&OrderCounts) -> f64| {
            present.iter().map(|counts| share(counts)).sum::<f64>() / present.len() as f64
        };
        let precision = mean(|counts| counts.both as f64 / counts.predicted as f64);
        let recall = mean(|counts| counts.both as f64 / counts.referenced as f64);
        if precision + recall > 0.0 {
            100.0 * (1.0 + RECALL_WEIGHT) * precision * recall
                / (RECALL_WEIGHT * precision + recall)
        } else {
            0.0
        }
    }
}

fn order_counts<T: Ord>(reference: &[T], prediction: &[T], order: usize) -> OrderCounts {
    let referenced = ngram_counts(reference, order);
    let predicted = ngram_counts(prediction, order);
    let total = |counts: &NgramCounts<'_, T>| counts.values().sum();
    OrderCounts {
        // Upstream, too, counts predictions only where the reference is long enough for this order.
        predicted: if referenced.is_empty() {
            0
        } else {
            total(&predicted)
        },
        referenced: total(&referenced),
        both: overlap(&predicted, &referenced),
    }
}

/// chrF of a corpus, from 0 to 100.
///
/// # Errors
/// On no documents.
pub fn chrf(documents: &[ChrfCounts]) -> Result<f64, MetricError> {
    require_some("chrf", "document", documents)?;
    let total = documents
        .iter()
        .fold(ChrfCounts::default(), ChrfCounts::add);
    Ok(total.score())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_leaves_each_word() {
        let parts = |word| without_punctuation(word).collect::<Vec<_>>();
        assert_eq!(parts("(hi)"), ["(hi", ")"]);
        assert_eq!(parts("(hi"), ["(", "hi"]);
        assert_eq!(parts("!"), ["!"]);
        assert_eq!(parts("é"), ["é"]);
    }

    #[test]
    fn nothing_in_common_is_zero() {
        let counts = ChrfCounts::new(&["abc"], "xyz", Chrf::default()).unwrap();
        assert_eq!(chrf(&[counts]), Ok(0.0));
        let counts = ChrfCounts::new(&[""], "", Chrf::default()).unwrap();
        assert_eq!(chrf(&[counts]), Ok(0.0));
        assert!(chrf(&[]).is_err());
    }
}
