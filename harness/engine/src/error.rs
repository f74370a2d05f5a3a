//! Why a request could not be answered.

use harness_model::ModelError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The model cannot condition on nothing.
    #[error(
        "the context is empty and the tokenizer has neither a BOS nor an EOS token to stand in for it"
    )]
    NoPrefixToken,
    /// The text to score has no tokens.
    #[error("nothing to score: the continuation {0:?} has no tokens of its own")]
    EmptyContinuation(String),
    /// The text to score is longer than the model's context.
    #[error(
        "the continuation has {tokens} tokens, the model takes at most {max_length}: {start:?}…"
    )]
    ContinuationTooLong {
        /// Tokens of the continuation.
        tokens: usize,
        /// Longest input of the model, in tokens.
        max_length: usize,
        /// How it begins.
        start: String,
    },
    /// What may be generated is as long as the model's context.
    #[error(
        "up to {max_tokens} tokens are to be generated, but the model takes {max_length} in all; lower max_gen_toks"
    )]
    NoRoomForPrompt {
        /// Tokens to generate.
        max_tokens: usize,
        /// Longest input of the model, in tokens.
        max_length: usize,
    },
    /// A kind of request that this engine does not answer.
    #[error("this engine answers no requests of this kind: {0}")]
    UnsupportedRequest(String),
    /// One of several requests cannot be answered.
    #[error("request {index}: {source}")]
    InRequest {
        /// Its place in the list.
        index: usize,
        /// Why.
        source: Box<EngineError>,
    },
    /// The model's answer is no number.
    #[error(
        "the model gives log-probabilities that are not finite; its weights or its config.json are damaged"
    )]
    NotFinite,
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, EngineError>;
