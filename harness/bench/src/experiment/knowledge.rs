//! How well a model knows the answers of a set, one value for every document and metric. Aggregates nothing.

use std::collections::BTreeMap;

use harness_engine::Scorer;

use super::record::DocumentScores;
use super::standing::HEADLINE;
use crate::answers::{AnswerRecord, AnswerSet, TextPair};
use crate::error::Result;

/// Scores the answers of a set with a model.
///
/// # Errors
/// When an answer cannot be tokenized, or the model gives values that are not finite.
pub(super) fn knowledge(
    task: &str,
    pairs: &[TextPair],
    scorer: &mut Scorer,
) -> Result<DocumentScores> {
    let set = AnswerSet::new(task, pairs, scorer.encoder())?;
    let records = set.records(scorer, true, &mut |_| {})?;
    let of = |value: fn(&AnswerRecord) -> f64| records.iter().map(value).collect::<Vec<f64>>();
    let mut metrics = BTreeMap::from([
        ("probability".to_owned(), of(|record| record.probability)),
        (HEADLINE.to_owned(), of(|record| record.extraction_strength)),
        (
            "exact_memorization".to_owned(),
            of(|record| record.exact_memorization),
        ),
        ("loss".to_owned(), of(|record| record.loss)),
        ("min_k".to_owned(), of(|record| record.min_k)),
        ("zlib".to_owned(), of(|record| record.zlib)),
    ]);
    let standardised: Option<Vec<f64>> = records
        .iter()
        .map(|record| record.min_k_plus_plus)
        .collect();
    metrics.extend(standardised.map(|values| ("min_k_plus_plus".to_owned(), values)));
    Ok(DocumentScores {
        task: task.to_owned(),
        metrics,
    })
}
