//! Answers requests with a model: tokenizes as lm-eval does, packs what shares a prefix, computes only what is asked.
//!
//! Requests and responses are plain values: nothing here knows YAML, prompts or metrics, and nothing prints; progress
//! goes to whoever passes a callback.

mod answer;
mod encode;
mod error;
mod generate;
mod rolling;
mod sampling;
mod scorer;
mod stopping;

pub use encode::Encoder;
pub use error::{EngineError, Result};
pub use harness_model::TokenScore;
pub use scorer::{Progress, Scorer, ScoringStatistics};
