//! Sets of prompts with answers in a training or scoring role, and how well a model knows their answers.

use harness_engine::{Encoder, Progress, Scorer, TokenScore};
use harness_metric::{answer_probability, extraction_strength, mean, mean_stderr};
use harness_model::train::TokenizedPair;
use harness_task::TrainingPair;
use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// A prompt and its answer as texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// How well a model knows a set of answers: means over documents with their standard errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerKnowledge {
    /// Length-normalised probability of the answers, end-of-text token included.
    pub probability: Estimate,
    /// Extraction strength over the answers' tokens without the end-of-text token.
    pub extraction_strength: Estimate,
    /// Mean negative log-likelihood of all answer tokens together, in nats a token.
    pub loss: f64,
}

/// A mean over documents.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error; absent for a single document.
    pub stderr: Option<f64>,
}

impl Estimate {
    fn of(values: &[f64]) -> Result<Self> {
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
        let pairs = pairs
            .iter()
            .enumerate()
            .map(tokenize)
            .collect::<Result<_>>()?;
        Ok(Self {
            name: name.to_owned(),
            pairs,
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

    /// Scores the answers with a model.
    ///
    /// # Errors
    /// When the model fails or gives values that are not finite.
    pub fn knowledge(
        &self,
        scorer: &mut Scorer,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<AnswerKnowledge> {
        let eos = scorer.encoder().tokenizer().eos();
        let scores = scorer.score_pairs(&self.pairs, progress)?;
        let mut probabilities = Vec::with_capacity(scores.len());
        let mut strengths = Vec::with_capacity(scores.len());
        let (mut total, mut tokens) = (0.0, 0);
        for (pair, scores) in self.pairs.iter().zip(&scores) {
            let logprobs: Vec<f64> = scores
                .iter()
                .map(|score| f64::from(score.logprob))
                .collect();
            probabilities.push(answer_probability(&logprobs)?);
            strengths.push(extraction_strength(&without_eos(pair, scores, eos))?);
            total -= logprobs.iter().sum::<f64>();
            tokens += logprobs.len();
        }
        Ok(AnswerKnowledge {
            probability: Estimate::of(&probabilities)?,
            extraction_strength: Estimate::of(&strengths)?,
            loss: total / tokens as f64,
        })
    }
}

/// Whether each answer token is the model's own choice, leaving out an end-of-text token that is not the whole answer.
pub(crate) fn without_eos(
    pair: &TokenizedPair,
    scores: &[TokenScore],
    eos: Option<u32>,
) -> Vec<bool> {
    let ends = scores.len() > 1 && eos.is_some() && pair.answer.last().copied() == eos;
    let kept = scores.len() - usize::from(ends);
    scores[..kept].iter().map(|score| score.is_argmax).collect()
}
