//! Translation edit rate (Snover et al., 2006) as sacrebleu computes it: words between white space in lower case, shifts as
//! Tercom searches them; neither normalises nor drops punctuation.

use std::collections::BTreeSet;

use super::require_some;
use super::word_shift::edits_with_shifts;
use crate::MetricError;
use crate::white_space::python_words;

/// What one document brings to TER.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TerCounts {
    /// Fewest edits to any of the references.
    edits: usize,
    /// Mean number of words of the references.
    reference_words: f64,
}

impl TerCounts {
    /// Counts the edits from one prediction to its references.
    ///
    /// # Errors
    /// On no references.
    pub fn new(references: &[impl AsRef<str>], prediction: &str) -> Result<Self, MetricError> {
        require_some("ter", "reference", references)?;
        let prediction = prediction.to_lowercase();
        let mut edits = usize::MAX;
        let mut words = 0;
        for reference in references {
            let reference = reference.as_ref().to_lowercase();
            let (reference, prediction) = numbered(&reference, &prediction);
            words += reference.len();
            edits = edits.min(edits_with_shifts(&reference, &prediction));
        }
        Ok(Self {
            edits,
            reference_words: words as f64 / references.len() as f64,
        })
    }
}

/// The words of two texts as numbers that keep their order.
fn numbered(reference: &str, prediction: &str) -> (Vec<usize>, Vec<usize>) {
    let both = python_words(reference).chain(python_words(prediction));
    let vocabulary: Vec<&str> = both.collect::<BTreeSet<_>>().into_iter().collect();
    let numbers = |text| {
        python_words(text)
            .filter_map(|word| vocabulary.binary_search(&word).ok())
            .collect()
    };
    (numbers(reference), numbers(prediction))
}

/// TER of a corpus: edits per hundred words of the references, above 100 where the predictions are much too long. A corpus of
/// empty references scores 100 if anything was predicted.
///
/// # Errors
/// On no documents.
pub fn ter(documents: &[TerCounts]) -> Result<f64, MetricError> {
    require_some("ter", "document", documents)?;
    let edits: usize = documents.iter().map(|counts| counts.edits).sum();
    let words: f64 = documents.iter().map(|counts| counts.reference_words).sum();
    Ok(if words > 0.0 {
        100.0 * (edits as f64 / words)
    } else if edits > 0 {
        100.0
    } else {
        0.0
    })
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    fn score(reference: &str, prediction: &str) -> f64 {
        ter(&[TerCounts::new(&[reference], prediction).unwrap()]).unwrap()
    }

    #[test]
    fn a_moved_run_is_one_edit() {
        assert_eq!(score("a b c d", "c d a b"), 25.0);
        assert_eq!(score("A b", "a B"), 0.0);
    }

    #[test]
    fn empty_texts() {
        assert_eq!(score("", ""), 0.0);
        assert_eq!(score("", "a b"), 100.0);
        assert_eq!(score("a b", ""), 100.0);
        assert!(ter(&[]).is_err());
    }
}
