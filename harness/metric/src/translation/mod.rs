//! Corpus metrics of translations, as sacrebleu computes them: what is to be added up per document, and the score of the
//! sums; refuses documents without references.

mod bleu;
mod bleu_tokenizer;
mod chrf;
mod edit_distance;
mod ter;
mod word_shift;

pub use bleu::{BleuCounts, bleu};
pub use bleu_tokenizer::BleuTokenizer;
pub use chrf::{Chrf, ChrfCounts, chrf};
pub use ter::{TerCounts, ter};

use crate::MetricError;

/// The error that there is nothing to compare with, or nothing to compare.
fn require_some<T>(
    metric: &'static str,
    unit: &'static str,
    items: &[T],
) -> Result<(), MetricError> {
    if items.is_empty() {
        return Err(MetricError::Empty { metric, unit });
    }
    Ok(())
}
