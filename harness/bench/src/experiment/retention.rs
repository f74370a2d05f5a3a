//! How far a model has moved from the original where nothing was to change: divergence, agreement on the next token and loss, on the
//! retain set and on neutral text. Refuses nothing: what cannot be compared is left out.

use std::collections::BTreeMap;

use harness_engine::Encoder;
use harness_metric::{Bootstrap, MetricError};
use harness_model::Model;
use harness_model::train::TokenizedPair;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figure::{Figure, Proportion, Scale, mean_figure};
use super::record::{DocumentScores, Scores};
use super::standing::{Anchors, runs_of};
use crate::answers::{AnswerSet, TextPair};
use crate::divergence::{Departure, departures_from_original};
use crate::error::Result;

/// The set of the record that has the neutral text.
pub(super) const NEUTRAL: &str = "neutral";
/// Tokens of a neutral text that are looked at, from its first on.
const NEUTRAL_TOKENS: usize = 256;
/// Metrics of the record.
const DIVERGENCE: &str = "divergence_from_original";
const AGREEMENT: &str = "agreement_with_original";
const LOSS: &str = "loss";

/// How much like the original a row still is on a set that was not to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// KL(original‖model) of the next token's distribution, in nats a token: mean over documents.
    pub divergence: Figure,
    /// Share of the tokens before which both hold the same token for the most probable: mean over documents.
    pub agreement: Figure,
    /// Loss in proportion to the original's; absent where that is zero.
    pub loss_ratio: Option<Figure>,
}

/// The models that are compared.
pub(super) struct Pair<'a> {
    pub(super) original: &'a Model,
    pub(super) model: &'a Model,
}

impl Pair<'_> {
    /// The tokens that both see.
    pub(super) fn encoder(&self) -> Encoder {
        let lengths = [self.original, self.model].map(|model| model.spec.max_positions);
        Encoder::new(self.model.tokenizer.clone(), lengths[0].min(lengths[1]))
    }

    /// Adds the distance from the original to what is known of the answers of a set.
    pub(super) fn add_to(
        &self,
        scores: &mut DocumentScores,
        pairs: &[TextPair],
        encoder: &Encoder,
    ) -> Result<()> {
        let set = AnswerSet::new(&scores.task, pairs, encoder)?;
        if let Some(departures) = self.departures(&set.pairs)? {
            scores.metrics.extend(distances(&departures));
        }
        Ok(())
    }

    /// The distance from the original on neutral text, of whose documents the first [`NEUTRAL_TOKENS`] tokens are looked at.
    pub(super) fn neutral(
        &self,
        task: &str,
        pairs: &[TextPair],
        encoder: &Encoder,
    ) -> Result<Option<DocumentScores>> {
        let length = encoder.max_length().min(NEUTRAL_TOKENS);
        let encoder = Encoder::new(encoder.tokenizer().clone(), length);
        let mut tokenized = Vec::new();
        for pair in pairs {
            if pair.prompt.trim().is_empty() {
                let first = encoder
                    .windows(pair.answer.trim_start())?
                    .into_iter()
                    .next();
                tokenized.extend(first);
            } else {
                tokenized.push(encoder.training_pair(&pair.prompt, &pair.answer)?);
            }
        }
        if tokenized.is_empty() {
            return Ok(None);
        }
        let with_loss = |departures: Vec<Departure>| {
            let losses = departures.iter().map(|own| own.loss).collect();
            let mut metrics = distances(&departures);
            metrics.insert(LOSS.to_owned(), losses);
            DocumentScores {
                task: task.to_owned(),
                metrics,
            }
        };
        Ok(self.departures(&tokenized)?.map(with_loss))
    }

    /// Nothing of models whose tokens are not the same.
    fn departures(&self, pairs: &[TokenizedPair]) -> Result<Option<Vec<Departure>>> {
        if self.original.spec.vocabulary != self.model.spec.vocabulary {
            return Ok(None);
        }
        let (original, model) = (self.original.decoder()?, self.model.decoder()?);
        Ok(Some(departures_from_original(&original, &model, pairs)?))
    }
}

fn distances(departures: &[Departure]) -> BTreeMap<String, Vec<f64>> {
    let of = |value: fn(&Departure) -> f64| departures.iter().map(value).collect();
    BTreeMap::from([
        (DIVERGENCE.to_owned(), of(|own| own.divergence)),
        (AGREEMENT.to_owned(), of(|own| own.agreement)),
    ])
}

impl<'a> Anchors<'a> {
    /// How much like the original some runs are, by set: `retain`, `neutral`.
    pub(super) fn retention(
        &self,
        runs: &[&'a Scores],
        bootstrap: Bootstrap,
    ) -> Result<BTreeMap<String, Retention>, MetricError> {
        type Set = (&'static str, fn(&Scores) -> Option<&DocumentScores>);
        let sets: [Set; 2] = [
            ("retain", |scores| scores.retain.as_ref()),
            (NEUTRAL, |scores| scores.sets.get(NEUTRAL)),
        ];
        let mut all = BTreeMap::new();
        for (name, set) in sets {
            let plain = |metric: &str| {
                let runs = runs_of(runs, set, metric)?;
                let original = runs.clone();
                let scale = Scale::Plain;
                Some(Proportion {
                    runs,
                    original,
                    scale,
                })
            };
            let Some((divergence, agreement)) = plain(DIVERGENCE).zip(plain(AGREEMENT)) else {
                continue;
            };
            let loss = runs_of(runs, set, LOSS).zip(runs_of(&[self.original], set, LOSS));
            let loss = loss.map(|(runs, original)| Proportion {
                runs,
                original,
                scale: Scale::Utility(0.0),
            });
            let retention = Retention {
                divergence: mean_figure(bootstrap, &[divergence])?,
                agreement: mean_figure(bootstrap, &[agreement])?,
                loss_ratio: loss.and_then(|loss| mean_figure(bootstrap, &[loss]).ok()),
            };
            all.insert(name.to_owned(), retention);
        }
        Ok(all)
    }
}
