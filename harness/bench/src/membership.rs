//! Membership attacks: whether a model gives away that it was trained on a text, by scores that are higher the less it looks so.
//! Refuses to judge without texts that were certainly never trained on.

use std::collections::BTreeMap;

use harness_metric::{area_under_roc, mean};
use harness_model::train::{AnswerBatch, GradientSet, TokenizedPair};
use harness_model::{Decoder, DecoderSpec, Weights};
use serde::{Deserialize, Serialize};

use crate::answers::{AnswerRecord, AnswerSet};
use crate::error::{BenchError, Result};

/// What an attack goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Mean negative log-likelihood.
    Loss,
    /// The same over the bytes of the compressed text.
    Zlib,
    /// The least likely tokens.
    MinK,
    /// The least likely tokens, each against all others in its place.
    MinKPlusPlus,
    /// Loss beyond that of a reference model.
    Reference,
    /// The size of the loss's gradient.
    GradientNorm,
}

/// Scores of one set of texts, a list a attack.
pub type MembershipScores = BTreeMap<Attack, Vec<f64>>;

/// The scores that follow from what a model knows; those of Min-K%++ if all records have them.
pub fn membership_scores(records: &[AnswerRecord]) -> MembershipScores {
    let of = |score: fn(&AnswerRecord) -> f64| records.iter().map(score).collect();
    let mut scores = MembershipScores::from([
        (Attack::Loss, of(|record| record.loss)),
        (Attack::Zlib, of(|record| record.zlib)),
        (Attack::MinK, of(|record| record.min_k)),
    ]);
    let plus_plus = records.iter().map(|record| record.min_k_plus_plus);
    if let Some(plus_plus) = plus_plus.collect::<Option<Vec<f64>>>() {
        scores.insert(Attack::MinKPlusPlus, plus_plus);
    }
    scores
}

/// Losses of one model less those of another on the same texts.
///
/// # Errors
/// When the records are not of as many texts.
pub fn reference_scores(records: &[AnswerRecord], reference: &[AnswerRecord]) -> Result<Vec<f64>> {
    if records.len() != reference.len() {
        return Err(BenchError::Request(format!(
            "a reference attack compares the same texts, not {} with {}",
            records.len(),
            reference.len()
        )));
    }
    let both = records.iter().zip(reference);
    Ok(both.map(|(own, other)| own.loss - other.loss).collect())
}

/// Area under the ROC curve of every attack that both sets have scores of: about 1 where the forget set is remembered, one half where
/// it is as unknown as the holdout set, and below where its absence shows.
///
/// # Errors
/// When a set is empty or a score is not finite.
pub fn membership_aucs(
    forget: &MembershipScores,
    holdout: &MembershipScores,
) -> Result<BTreeMap<Attack, f64>> {
    let both = forget
        .iter()
        .filter_map(|(attack, own)| Some((*attack, own, holdout.get(attack)?)));
    both.map(|(attack, forget, holdout)| Ok((attack, area_under_roc(forget, holdout)?)))
        .collect()
}

/// Which norm of a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GradientNorm {
    /// Sum of absolute values.
    One,
    /// Euclidean.
    Two,
    /// Largest absolute value.
    Largest,
}

impl GradientNorm {
    fn of(self, values: &[f32]) -> f64 {
        let sizes = values.iter().map(|&value| f64::from(value).abs());
        match self {
            Self::One => sizes.sum(),
            Self::Two => sizes.map(|size| size * size).sum::<f64>().sqrt(),
            Self::Largest => sizes.fold(0.0, f64::max),
        }
    }
}

/// Of each answer, the mean over all weights' tensors of the norm of the loss's gradient, the loss being the mean over the answer's
/// tokens without the one that ends the text: open-unlearning's attack by gradient norms. `ends` says of each pair whether its
/// last token is that one.
///
/// # Errors
/// When the model fails or a gradient is not finite.
pub fn gradient_norms(
    (spec, weights): (&DecoderSpec, &Weights),
    set: &AnswerSet,
    ends: impl Fn(&TokenizedPair) -> bool,
    norm: GradientNorm,
) -> Result<Vec<f64>> {
    let (weights, variables) = weights.trainable()?;
    let decoder = Decoder::new(spec.clone(), &weights)?;
    let mut gradients = GradientSet::new(&variables);
    let mut norms = Vec::with_capacity(set.pairs.len());
    for pair in &set.pairs {
        let mut pair = pair.clone();
        if pair.answer.len() > 1 && ends(&pair) {
            pair.answer.pop();
        }
        let loss = AnswerBatch::new([&pair]).logprobs(&decoder)?;
        gradients.clear();
        gradients.add_backward(&loss.mean_all()?.neg()?)?;
        let mut of_tensors = Vec::new();
        for (_, gradient) in gradients.iter() {
            of_tensors.push(norm.of(&gradient.values()?));
        }
        norms.push(mean(&of_tensors)?);
    }
    Ok(norms)
}
