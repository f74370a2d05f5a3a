//! Membership attacks: whether a model gives away that it was trained on a text, by scores that are higher the less it looks so.
//! Judges nothing: that takes texts that were certainly never trained on.

use std::collections::BTreeMap;

use harness_metric::mean;
use harness_model::train::{AnswerBatch, GradientSet, TokenizedPair};
use harness_model::{Decoder, DecoderSpec, Weights};
use serde::{Deserialize, Serialize};

use crate::answers::AnswerSet;
use crate::error::Result;

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

/// Scores of one set of texts, a list an attack.
pub type MembershipScores = BTreeMap<Attack, Vec<f64>>;

impl Attack {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Loss,
        Self::Zlib,
        Self::MinK,
        Self::MinKPlusPlus,
        Self::Reference,
        Self::GradientNorm,
    ];

    /// Its name in records; of attacks that go by a score of one model, that score's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Zlib => "zlib",
            Self::MinK => "min_k",
            Self::MinKPlusPlus => "min_k_plus_plus",
            Self::Reference => "reference",
            Self::GradientNorm => "gradient_norm",
        }
    }
}

/// The attacks that a model's scores of some texts, by name, allow. `reference` has the scores of the same texts by a model that
/// never saw the forget set: what is left of a loss without that model's is not due to the text's being easy.
pub fn membership_scores(
    scores: &BTreeMap<String, Vec<f64>>,
    reference: Option<&BTreeMap<String, Vec<f64>>>,
) -> MembershipScores {
    let of_one = |attack: Attack| Some((attack, scores.get(attack.name())?.clone()));
    let mut attacks: MembershipScores = Attack::ALL.into_iter().filter_map(of_one).collect();
    let loss = Attack::Loss.name();
    let both = scores.get(loss).zip(reference.and_then(|of| of.get(loss)));
    if let Some((own, reference)) = both.filter(|(own, other)| own.len() == other.len()) {
        let pairs = own.iter().zip(reference);
        let beyond = pairs.map(|(own, reference)| own - reference).collect();
        attacks.insert(Attack::Reference, beyond);
    }
    attacks
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
