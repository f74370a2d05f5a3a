//! How far a model has moved away from the original on text that neither was to forget. Knows no tasks, and refuses models with
//! different vocabularies.

use harness_metric::mean;
use harness_model::Decoder;
use harness_model::train::{AnswerBatch, Positions, TokenizedPair};
use rayon::prelude::*;

use crate::answers::Estimate;
use crate::error::{BenchError, Result};

/// Texts that go through both models together.
const BATCH: usize = 4;

/// Positions whose logits are held at once.
const ROWS: usize = 64;

/// What one text says of two models: means over its answer tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure {
    /// Kullback–Leibler divergence KL(original‖model) of the next token's distribution, in nats a token.
    pub divergence: f64,
    /// Share of the tokens before which both models hold the same token for the most probable.
    pub agreement: f64,
    /// Negative log-likelihood under the model, in nats a token.
    pub loss: f64,
    /// Tokens behind the means.
    pub tokens: usize,
}

/// Mean Kullback–Leibler divergence KL(original‖model) of the next-token distributions, in nats a token, over all answer tokens of
/// `pairs`; with the standard error over pairs, each by its mean. For plain text, pairs are the windows that an encoder cuts it into.
///
/// # Errors
/// On no pairs, and when the models do not fit each other.
pub fn divergence_from_original(
    original: &Decoder,
    model: &Decoder,
    pairs: &[TokenizedPair],
) -> Result<Estimate> {
    let departures = departures_from_original(original, model, pairs)?;
    let means: Vec<f64> = departures.iter().map(|own| own.divergence).collect();
    let tokens: usize = departures.iter().map(|own| own.tokens).sum();
    let sums = departures.iter();
    let sum: f64 = sums.map(|own| own.divergence * own.tokens as f64).sum();
    Ok(Estimate {
        value: sum / tokens as f64,
        ..Estimate::of(&means)?
    })
}

/// How far the model has moved on each of `pairs`.
///
/// # Errors
/// When the models do not fit each other, or a logit is not finite.
pub fn departures_from_original(
    original: &Decoder,
    model: &Decoder,
    pairs: &[TokenizedPair],
) -> Result<Vec<Departure>> {
    let sizes = [original, model].map(|decoder| decoder.spec().vocabulary);
    if sizes[0] != sizes[1] {
        let [original, model] = sizes;
        let message = format!(
            "the original has a vocabulary of {original} tokens and the model one of {model}: their distributions cannot be compared"
        );
        return Err(BenchError::Request(message));
    }
    let mut departures = Vec::with_capacity(pairs.len());
    for pairs in pairs.chunks(BATCH) {
        let batch = AnswerBatch::new(pairs);
        let (rows, labels) = (
            batch.rows(Positions::Answer),
            batch.labels(Positions::Answer),
        );
        let hidden = [original, model].map(|decoder| decoder.hidden(batch.packed()));
        let [teacher, own] = hidden;
        let (teacher, own) = (teacher?, own?);
        let mut tokens = Vec::with_capacity(rows.len());
        for (rows, labels) in rows.chunks(ROWS).zip(labels.chunks(ROWS)) {
            let teacher = original.logits_of(&teacher, rows)?;
            let own = model.logits_of(&own, rows)?;
            let compared = teacher.par_iter().zip(&own).zip(labels);
            tokens.par_extend(
                compared.map(|((teacher, own), label)| Token::of(teacher, own, *label)),
            );
        }
        let mut rest = tokens.as_slice();
        for &length in batch.lengths(Positions::Answer) {
            let (own, others) = rest.split_at(length);
            rest = others;
            departures.push(Departure::of(own)?);
        }
    }
    Ok(departures)
}

/// Two distributions of one place.
struct Token {
    divergence: f64,
    is_agreed: bool,
    loss: f64,
}

impl Token {
    fn of(teacher: &[f32], own: &[f32], label: Option<u32>) -> Self {
        let (best_teacher, best_own) = (best(teacher), best(own));
        let (top, own_top) = (teacher[best_teacher], own[best_own]);
        // Σ exp of both, and Σ exp(t) (t − z): 0 to the last bit where the logits are the same.
        let (mut sum, mut own_sum, mut weighted) = (0.0, 0.0, 0.0);
        for (&teacher, &own) in teacher.iter().zip(own) {
            let weight = f64::from((teacher - top).exp());
            sum += weight;
            own_sum += f64::from((own - own_top).exp());
            weighted += weight * f64::from(teacher - own);
        }
        let normaliser = |top: f32, sum: f64| f64::from(top) + sum.ln();
        let own_normaliser = normaliser(own_top, own_sum);
        let divergence = weighted / sum + own_normaliser - normaliser(top, sum);
        let target = label.and_then(|label| own.get(label as usize));
        Self {
            // Rounding may leave a hair below zero.
            divergence: if divergence < 0.0 { 0.0 } else { divergence },
            is_agreed: best_teacher == best_own,
            loss: target.map_or(f64::NAN, |&target| own_normaliser - f64::from(target)),
        }
    }
}

/// The place of the largest, the first of several.
fn best(logits: &[f32]) -> usize {
    let mut best = 0;
    for (place, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = place;
        }
    }
    best
}

impl Departure {
    fn of(tokens: &[Token]) -> Result<Self> {
        let mean_of = |value: fn(&Token) -> f64| {
            let values: Vec<f64> = tokens.iter().map(value).collect();
            mean(&values)
        };
        Ok(Self {
            divergence: mean_of(|token| token.divergence)?,
            agreement: mean_of(|token| f64::from(u8::from(token.is_agreed)))?,
            loss: mean_of(|token| token.loss)?,
            tokens: tokens.len(),
        })
    }
}
