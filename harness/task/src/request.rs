//! What crosses between tasks and models: questions, answers and the selection of documents, as plain values;
//! knows neither YAML nor tensors.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use harness_data::Document;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::AnswerTokens;
use crate::chat::ChatTemplate;
use crate::spec::Generation;

/// One question to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// How probable is `text`, from its first token to its last?
    LoglikelihoodRolling {
        /// The text scored; longer than the model's context if need be.
        text: String,
    },
    /// What comes after `context`?
    GenerateUntil {
        /// The text given.
        context: String,
        /// How the text is generated, and where it ends.
        generation: Generation,
    },
    /// How probable is each token of `answer` after `prompt`, and that the text ends behind it?
    Answer {
        /// The text given; never ends in the delimiter that belongs to the answer.
        prompt: String,
        /// The text scored, with its leading delimiter.
        answer: String,
        /// Whether each log-probability is also set against all others in its place.
        standardise: bool,
    },
}

impl Request {
    /// The arguments as lm-eval records them: texts, and for generation the settings as given.
    pub fn arguments(&self) -> Vec<Value> {
        match self {
            Self::Loglikelihood {
                context,
                continuation,
            } => vec![json!(context), json!(continuation)],
            Self::LoglikelihoodRolling { text } => vec![json!(text)],
            Self::GenerateUntil {
                context,
                generation,
            } => vec![json!(context), json!(generation.given)],
            Self::Answer { prompt, answer, .. } => vec![json!(prompt), json!(answer)],
        }
    }
}

/// A model's answer to the [`Request`] of the same name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Answer to [`Request::LoglikelihoodRolling`].
    LoglikelihoodRolling {
        /// Sum of all tokens' natural log-probabilities, in nats.
        logprob: f64,
    },
    /// Answer to [`Request::GenerateUntil`].
    GenerateUntil {
        /// The text, up to the first text that ends it.
        text: String,
    },
    /// Answer to [`Request::Answer`].
    Answer(AnswerTokens),
}

impl Response {
    /// An answer of one token and the end of the text, for those who try a task out without a model.
    pub fn made_up_answer(logprob: f64) -> Self {
        Self::Answer(AnswerTokens {
            logprobs: vec![logprob as f32; 2],
            is_argmax: vec![true; 2],
            standardised: Some(vec![0.0; 2]),
            ends_text: true,
        })
    }

    /// The response as filters and Python functions see it: `[logprob, is_greedy]`, a number, text, or the map of an
    /// answer's tokens. A number that is
    /// not finite, which JSON lacks, is the text that Python prints for it.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Loglikelihood { logprob, is_greedy } => json!([number(*logprob), is_greedy]),
            Self::LoglikelihoodRolling { logprob } => number(*logprob),
            Self::GenerateUntil { text } => json!(text),
            Self::Answer(tokens) => json!(tokens),
        }
    }
}

fn number(value: f64) -> Value {
    let infinite = if value > 0.0 { "inf" } else { "-inf" };
    match value {
        finite if finite.is_finite() => json!(finite),
        nan if nan.is_nan() => json!("nan"),
        _ => json!(infinite),
    }
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
    /// The questions, in the order in which the responses are expected: with `repeats`, each as often in a row.
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
#[derive(Clone)]
pub struct RequestOptions {
    /// Few-shot examples per document; overrides the YAML's `num_fewshot` except an explicit 0.
    pub num_fewshot: Option<usize>,
    /// Which documents to take; `None` is all.
    pub limit: Option<Limit>,
    /// Rows of the split to take, in order of row; none: those that `limit` leaves. Few-shot examples are drawn for these rows
    /// alone, as upstream.
    pub rows: Option<BTreeSet<usize>>,
    /// Seed of the few-shot sampler's Mersenne Twister.
    pub fewshot_seed: u64,
    /// Settings of generation, over those of the YAML.
    pub generation_kwargs: Map<String, Value>,
    /// Before every task's description.
    pub system_instruction: String,
    /// Makes prompts conversations.
    pub chat_template: Option<Arc<dyn ChatTemplate>>,
    /// In a conversation, whether few-shot examples are turns of their own.
    pub fewshot_as_multiturn: bool,
}

impl Default for RequestOptions {
    /// lm-eval's defaults: the YAML's number of shots, all documents, seed 1234, plain text.
    fn default() -> Self {
        Self {
            num_fewshot: None,
            limit: None,
            rows: None,
            fewshot_seed: 1234,
            generation_kwargs: Map::new(),
            system_instruction: String::new(),
            chat_template: None,
            fewshot_as_multiturn: true,
        }
    }
}

impl fmt::Debug for RequestOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestOptions")
            .field("num_fewshot", &self.num_fewshot)
            .field("limit", &self.limit)
            .field("rows", &self.rows)
            .field("fewshot_seed", &self.fewshot_seed)
            .field("generation_kwargs", &self.generation_kwargs)
            .field("system_instruction", &self.system_instruction)
            .field("chat_template", &self.chat_template.is_some())
            .field("fewshot_as_multiturn", &self.fewshot_as_multiturn)
            .finish()
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
