//! From texts to token ids, split at the border between context and continuation exactly as lm-eval splits them.

use harness_model::Tokenizer;
use harness_model::train::TokenizedPair;

use crate::error::{EngineError, Result};
use crate::rolling::windows;

/// A tokenizer with the length that sequences are cut to.
#[derive(Clone, Debug)]
pub struct Encoder {
    tokenizer: Tokenizer,
    max_length: usize,
}

impl Encoder {
    /// Sequences are cut from the left to `max_length` input tokens.
    pub fn new(tokenizer: Tokenizer, max_length: usize) -> Self {
        Self {
            tokenizer,
            max_length,
        }
    }

    /// The tokenizer within.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Longest input, in tokens.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Tokens of a context and of what follows it, uncut.
    ///
    /// White space at the end of the context is scored with the continuation, and the border lies where the tokens of
    /// the context alone would end, even where a token of the whole straddles it. An empty context is the prefix token.
    ///
    /// # Errors
    /// When the continuation has no token, or the context is empty and there is no prefix token.
    pub fn pair(&self, context: &str, continuation: &str) -> Result<TokenizedPair> {
        let empty = || EngineError::EmptyContinuation(continuation.to_owned());
        if context.is_empty() {
            let answer = self.tokenizer.encode_bare(continuation)?;
            return self.after_prefix(answer).ok_or_else(empty)?;
        }
        let kept = context.trim_end_matches(is_python_whitespace);
        let whole = self.tokenizer.encode(&format!("{context}{continuation}"))?;
        let prompt = self.tokenizer.encode(kept)?;
        let answer = whole.get(prompt.len()..).unwrap_or_default().to_vec();
        if answer.is_empty() {
            return Err(empty());
        }
        if prompt.is_empty() {
            return self.after_prefix(answer).ok_or_else(empty)?;
        }
        Ok(TokenizedPair { prompt, answer })
    }

    /// The prefix token before `answer`; an answer that starts with it already gives it up to the context.
    fn after_prefix(&self, mut answer: Vec<u32>) -> Option<Result<TokenizedPair>> {
        let first = *answer.first()?;
        let Some(prefix) = self.tokenizer.prefix() else {
            return Some(Err(EngineError::NoPrefixToken));
        };
        if first == prefix {
            answer.remove(0);
        }
        (!answer.is_empty()).then(|| {
            Ok(TokenizedPair {
                prompt: vec![prefix],
                answer,
            })
        })
    }

    /// Tokens of a prompt and the answer to train on, as [`Self::ended_pair`] has them.
    ///
    /// # Errors
    /// As [`Self::ended_pair`].
    pub fn training_pair(&self, prompt: &str, answer: &str) -> Result<TokenizedPair> {
        self.ended_pair(prompt, answer).map(|(pair, _)| pair)
    }

    /// Tokens of a prompt and of an answer that ends with the end-of-text token where there is one; cut from the left to the
    /// length that fits. Tells whether any were dropped.
    ///
    /// # Errors
    /// As [`Self::pair`], and when the answer alone is too long.
    pub fn ended_pair(&self, prompt: &str, answer: &str) -> Result<(TokenizedPair, bool)> {
        let mut pair = self.pair(prompt, answer)?;
        if let Some(eos) = self.tokenizer.eos().filter(|_| !self.ends_text(&pair)) {
            pair.answer.push(eos);
        }
        self.cut(pair, answer)
    }

    /// Whether an answer's last token is the one that ends texts.
    pub fn ends_text(&self, pair: &TokenizedPair) -> bool {
        let eos = self.tokenizer.eos();
        eos.is_some() && pair.answer.last().copied() == eos
    }

    /// Keeps the last `max_length` + 1 tokens; tells whether any were dropped. The continuation is never cut.
    ///
    /// # Errors
    /// When the continuation alone is longer than the model takes.
    pub fn cut(
        &self,
        mut pair: TokenizedPair,
        continuation: &str,
    ) -> Result<(TokenizedPair, bool)> {
        if pair.answer.len() > self.max_length {
            return Err(EngineError::ContinuationTooLong {
                tokens: pair.answer.len(),
                max_length: self.max_length,
                start: continuation.chars().take(40).collect(),
            });
        }
        let excess = (pair.prompt.len() + pair.answer.len())
            .saturating_sub(self.max_length.saturating_add(1));
        pair.prompt.drain(..excess);
        Ok((pair, excess > 0))
    }
}

impl Encoder {
    /// Tokens of a text that is scored from its first token to its last, in windows that fit the model.
    ///
    /// # Errors
    /// When there is no prefix token.
    pub fn windows(&self, text: &str) -> Result<Vec<TokenizedPair>> {
        let prefix = self.tokenizer.prefix().ok_or(EngineError::NoPrefixToken)?;
        let tokens = self.tokenizer.encode(text)?;
        Ok(windows(&tokens, prefix, self.max_length))
    }

    /// Tokens of a prompt, cut from the left so that `max_tokens` may follow; tells whether any were dropped. An empty prompt
    /// is the prefix token.
    ///
    /// # Errors
    /// When nothing of the prompt fits, or it is empty and there is no prefix token.
    pub fn prompt(&self, context: &str, max_tokens: usize) -> Result<(Vec<u32>, bool)> {
        let max_length = self.max_length;
        let room = max_length.saturating_sub(max_tokens);
        if room == 0 {
            return Err(EngineError::NoRoomForPrompt {
                max_tokens,
                max_length,
            });
        }
        let mut tokens = self.tokenizer.encode(context)?;
        if tokens.is_empty() {
            tokens.push(self.tokenizer.prefix().ok_or(EngineError::NoPrefixToken)?);
        }
        let excess = tokens.len().saturating_sub(room);
        tokens.drain(..excess);
        Ok((tokens, excess > 0))
    }
}

/// What Python's `str.rstrip` removes: Unicode white space and the four separators U+001C to U+001F.
fn is_python_whitespace(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
