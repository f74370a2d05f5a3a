//! Where a generated text ends: at a token that ends texts, at a text that was asked for, or at the limit of tokens.

use harness_model::Tokenizer;

use crate::error::Result;

/// What ends one text.
pub(crate) struct Stopping {
    /// Never empty texts.
    until: Vec<String>,
    end_tokens: Vec<u32>,
    max_tokens: usize,
}

impl Stopping {
    /// The text of the end-of-sequence token ends a text, too, should the model spell it.
    pub(crate) fn new(until: &[String], max_tokens: usize, tokenizer: &Tokenizer) -> Self {
        let spelt = tokenizer.eos().and_then(|eos| tokenizer.token(eos));
        let until = until.iter().cloned().chain(spelt);
        Self {
            until: until.filter(|text| !text.is_empty()).collect(),
            end_tokens: tokenizer.eos_tokens(),
            max_tokens,
        }
    }

    /// The finished text that these generated tokens are, or nothing if it goes on.
    ///
    /// # Errors
    /// When the tokenizer cannot decode.
    pub(crate) fn finished(&self, tokens: &[u32], tokenizer: &Tokenizer) -> Result<Option<String>> {
        let is_over = tokens.len() >= self.max_tokens
            || tokens.last().is_some_and(|last| self.end_tokens.contains(last));
        let text = tokenizer.decode(tokens, true)?;
        let end = self.until.iter().filter_map(|stop| text.find(stop.as_str())).min();
        Ok(match end {
            Some(end) => Some(text[..end].to_owned()),
            None => is_over.then_some(text),
        })
    }
}
