//! What crosses between tasks and models: questions, answers and the selection of documents, as plain values;
//! knows neither YAML nor tensors.

use harness_data::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One question to a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// How probable is `continuation` after `context`?
    Loglikelihood {
        /// The text given; never ends in the delimiter that belongs to the continuation.
        context: String,
        /// The text scored, with its leading delimiter.
        continuation: String,
    },
}

/// A model's answer to the [`Request`] of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Response {
    /// Answer to [`Request::Loglikelihood`].
    Loglikelihood {
        /// Sum of the continuation tokens' natural log-probabilities, in nats.
        logprob: f64,
        /// Whether every continuation token is the most probable one at its place.
        is_greedy: bool,
    },
}

/// The requests of one document, with what scoring needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentRequests {
    /// Row number in the split, from 0.
    pub doc_id: usize,
    /// The row.
    pub document: Document,
    /// What `doc_to_target` gave: choice index, text, or a list of either.
    pub target: Value,
    /// The questions, in the order in which the responses are expected.
    pub requests: Vec<Request>,
}

/// How many documents of a split to take, from its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// This many, or all if there are fewer.
    Count(usize),
    /// This share, in `(0, 1)`, rounded up.
    Share(f64),
}

impl Limit {
    /// Reads lm-eval's `--limit`: below 1.0 a share, otherwise a count (its fraction dropped, so `1.0` is one document).
    /// `None` for what is neither: zero, negative or not finite.
    pub fn from_number(number: f64) -> Option<Self> {
        match number {
            n if !n.is_finite() || n <= 0.0 => None,
            n if n < 1.0 => Some(Self::Share(n)),
            n => Some(Self::Count(n as usize)),
        }
    }

    /// The number of documents taken out of `available`.
    pub fn documents(self, available: usize) -> usize {
        match self {
            Self::Count(count) => count.min(available),
            Self::Share(share) => ((available as f64 * share).ceil() as usize).min(available),
        }
    }
}

/// How a task's documents become requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestOptions {
    /// Few-shot examples per document; overrides the YAML's `num_fewshot` except an explicit 0.
    pub num_fewshot: Option<usize>,
    /// Which documents to take; `None` is all.
    pub limit: Option<Limit>,
    /// Seed of the few-shot sampler's Mersenne Twister.
    pub fewshot_seed: u64,
}

impl Default for RequestOptions {
    /// lm-eval's defaults: the YAML's number of shots, all documents, seed 1234.
    fn default() -> Self {
        Self {
            num_fewshot: None,
            limit: None,
            fewshot_seed: 1234,
        }
    }
}

/// One document in the training role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingPair {
    /// Row number in the split, from 0.
    pub doc_id: usize,
    /// `doc_to_text`, without description and few-shot examples.
    pub prompt: String,
    /// `target_delimiter` + `doc_to_target`: the text that training or forgetting is about.
    pub answer: String,
    /// The row.
    pub document: Document,
}
