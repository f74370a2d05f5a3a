//! Sets of prompts with answers in a training or scoring role, and how well a model knows each answer.

use harness_engine::{Encoder, Progress, Scorer};
use harness_metric::{loss_per_compressed_byte, mean, mean_stderr};
use harness_model::train::TokenizedPair;
use harness_task::{AnswerTokens, TrainingPair};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// Open-unlearning's share of tokens for Min-K% and Min-K%++ in its TOFU and MUSE configurations.
pub const MIN_K_SHARE: f64 = 0.4;

/// A prompt and its answer as texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TextPair {
    /// The question as the model sees it.
    pub prompt: String,
    /// The answer with its leading delimiter.
    pub answer: String,
}

impl From<TrainingPair> for TextPair {
    fn from(pair: TrainingPair) -> Self {
        Self {
            prompt: pair.prompt,
            answer: pair.answer,
        }
    }
}

/// A task's documents in a training role.
#[derive(Clone, Debug)]
pub struct AnswerSet {
    /// The task's name.
    pub name: String,
    /// Its tokenized documents; the answers end with the end-of-text token where there is one.
    pub pairs: Vec<TokenizedPair>,
    /// The answers as texts, without white space around them.
    pub texts: Vec<String>,
}

/// How well a model knows one answer, whose values are those of the task metrics of the same names: probability and loss count the
/// end-of-text token, the others do not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// Answer tokens, the end-of-text token included.
    pub tokens: usize,
    /// Mean negative log-likelihood, in nats a token.
    pub loss: f64,
    /// Length-normalised probability.
    pub probability: f64,
    /// Extraction strength, whose floor is 0.
    pub extraction_strength: f64,
    /// Share of tokens that are the model's choice.
    pub exact_memorization: f64,
    /// Min-K% of the lowest [`MIN_K_SHARE`].
    pub min_k: f64,
    /// Min-K%++ of the lowest [`MIN_K_SHARE`]; absent where nobody asked for it.
    pub min_k_plus_plus: Option<f64>,
    /// Loss over the bytes of the compressed answer.
    pub zlib: f64,
}

impl AnswerRecord {
    fn new(tokens: &AnswerTokens, text: &str) -> Result<Self> {
        let loss = tokens.loss(true)?;
        let standardised = tokens.standardised.as_ref();
        let min_k_plus_plus = standardised.map(|_| tokens.min_k_plus_plus(false, MIN_K_SHARE));
        Ok(Self {
            tokens: tokens.counted(true),
            loss,
            probability: tokens.probability(true)?,
            extraction_strength: tokens.extraction_strength(false, false)?,
            exact_memorization: tokens.exact_memorisation(false)?,
            min_k: tokens.min_k(false, MIN_K_SHARE)?,
            min_k_plus_plus: min_k_plus_plus.transpose()?,
            zlib: loss_per_compressed_byte(loss, text)?,
        })
    }
}

/// How well a model knows a set of answers: means over documents with their standard errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerKnowledge {
    /// Length-normalised probability of the answers, end-of-text token included.
    pub probability: Estimate,
    /// Extraction strength over the answers' tokens without the end-of-text token.
    pub extraction_strength: Estimate,
    /// Mean negative log-likelihood of all answer tokens together, in nats a token.
    pub loss: f64,
}

impl AnswerKnowledge {
    /// Of the records of a set's documents.
    ///
    /// # Errors
    /// On no records.
    pub fn of(records: &[AnswerRecord]) -> Result<Self> {
        let estimate = |of: fn(&AnswerRecord) -> f64| {
            Estimate::of(&records.iter().map(of).collect::<Vec<f64>>())
        };
        let tokens: usize = records.iter().map(|record| record.tokens).sum();
        let losses = records.iter();
        let total: f64 = losses
            .map(|record| record.loss * record.tokens as f64)
            .sum();
        Ok(Self {
            probability: estimate(|record| record.probability)?,
            extraction_strength: estimate(|record| record.extraction_strength)?,
            loss: total / tokens as f64,
        })
    }
}

/// A mean over documents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error; absent for a single document.
    pub stderr: Option<f64>,
}

impl Estimate {
    pub(crate) fn of(values: &[f64]) -> Result<Self> {
        Ok(Self {
            value: mean(values)?,
            stderr: mean_stderr(values)?,
        })
    }
}

impl AnswerSet {
    /// Tokenizes a task's pairs for one model.
    ///
    /// # Errors
    /// When there is no pair, or one has no answer or does not fit the model; the error names task and document.
    pub fn new(name: &str, pairs: &[TextPair], encoder: &Encoder) -> Result<Self> {
        if pairs.is_empty() {
            return Err(BenchError::Request(format!(
                "task {name}: there is no document to train on"
            )));
        }
        let tokenize = |(document, pair): (usize, &TextPair)| {
            let place =
                |error| BenchError::Request(format!("task {name}, document {document}: {error}"));
            encoder
                .training_pair(&pair.prompt, &pair.answer)
                .map_err(place)
        };
        let texts = pairs.iter().map(|pair| pair.answer.trim().to_owned());
        Ok(Self {
            name: name.to_owned(),
            texts: texts.collect(),
            pairs: pairs
                .iter()
                .enumerate()
                .map(tokenize)
                .collect::<Result<_>>()?,
        })
    }

    /// Refuses batches that the set cannot fill without repeating a document.
    ///
    /// # Errors
    /// When `batch_size` is larger than the set.
    pub fn require_batch(&self, batch_size: usize) -> Result<()> {
        let documents = self.pairs.len();
        if batch_size <= documents {
            return Ok(());
        }
        let message = format!(
            "a batch of {batch_size} is more than the {documents} documents of task {}",
            self.name
        );
        Err(BenchError::Request(message))
    }

    /// What a model knows of each answer; with `standardise`, Min-K%++ too, which takes half as long again in the head.
    ///
    /// # Errors
    /// When the model fails or gives values that are not finite.
    pub fn records(
        &self,
        scorer: &mut Scorer,
        standardise: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<AnswerRecord>> {
        let scored = scorer.score_answers(&self.pairs, standardise, progress)?;
        let scored = scored.iter().zip(&self.texts);
        scored
            .map(|(tokens, text)| AnswerRecord::new(tokens, text))
            .collect()
    }

    /// Means of what a model knows of the answers.
    ///
    /// # Errors
    /// As [`Self::records`].
    pub fn knowledge(
        &self,
        scorer: &mut Scorer,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<AnswerKnowledge> {
        AnswerKnowledge::of(&self.records(scorer, false, progress)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knowledge_is_of_documents_but_its_loss_of_tokens() {
        let record = |probabilities: &[f32], is_argmax: &[bool]| {
            let tokens = AnswerTokens {
                logprobs: probabilities.iter().map(|p| p.ln()).collect(),
                is_argmax: is_argmax.to_vec(),
                standardised: None,
                ends_text: true,
            };
            AnswerRecord::new(&tokens, "Lisbon").unwrap()
        };
        let records = [
            record(&[0.5, 0.5], &[true, false]),
            record(&[0.25; 4], &[false, true, false, true]),
        ];
        let knowledge = AnswerKnowledge::of(&records).unwrap();
        assert!((knowledge.probability.value - 0.375).abs() < 1e-6);
        // The token that ends the text is left out: all of one token, none of three.
        assert!((knowledge.extraction_strength.value - 0.5).abs() < 1e-12);
        assert!((knowledge.loss - 10.0 / 6.0 * 2.0_f64.ln()).abs() < 1e-6);
        assert_eq!(records[0].min_k_plus_plus, None);
        assert!(AnswerKnowledge::of(&[]).is_err());
    }
}
