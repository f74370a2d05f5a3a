//! Answers requests with a model: tokenizes as lm-eval does, packs what shares a prefix, computes only what is asked.
//!
//! Requests and responses are plain values: nothing here knows YAML, prompts or metrics, and nothing prints; progress
//! goes to whoever passes a callback.

mod answer;
mod cache;
mod encode;
mod encoded;
mod error;
mod generate;
mod memory;
mod rolling;
mod sampling;
mod scorer;
mod stopping;
mod walk;

pub use answer::{OnStep, Step};
pub use cache::{AnswerCache, ModelIdentity, model_identity};
pub use encode::Encoder;
pub use encoded::EncodedRequests;
pub use error::{EngineError, Result};
pub use harness_model::TokenScore;
pub use memory::{MemoryBudget, free_memory_bytes};
pub use scorer::{Progress, Scorer, ScoringStatistics};
