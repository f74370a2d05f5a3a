//! How well a model knows the answers of a set, one value for every document and metric. Aggregates nothing.

use std::collections::BTreeMap;

use harness_engine::{Scorer, TokenScore};
use harness_metric::{answer_probability, exact_memorisation, extraction_strength};

use super::record::DocumentScores;
use super::standing::HEADLINE;
use crate::answers::{AnswerSet, TextPair, without_eos};
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
    let eos = scorer.encoder().tokenizer().eos();
    let scores = scorer.score_pairs(&set.pairs, &mut |_| {})?;
    let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (pair, scores) in set.pairs.iter().zip(&scores) {
        let logprobs: Vec<f64> = scores.iter().map(logprob).collect();
        let matches = without_eos(pair, scores, eos);
        let loss = -logprobs.iter().sum::<f64>() / logprobs.len() as f64;
        let values = [
            ("probability", answer_probability(&logprobs)?),
            (HEADLINE, extraction_strength(&matches)?),
            ("exact_memorization", exact_memorisation(&matches)?),
            ("loss", loss),
        ];
        for (name, value) in values {
            metrics.entry(name.to_owned()).or_default().push(value);
        }
    }
    Ok(DocumentScores {
        task: task.to_owned(),
        metrics,
    })
}

fn logprob(score: &TokenScore) -> f64 {
    f64::from(score.logprob)
}
