//! Text to token ids and back, with the facts about special tokens that scoring and training need. Knows no prompts.

use std::path::Path;

use serde_json::Value;

use crate::error::{ModelError, Result, bad_file, io};

/// A model's tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    /// Text of the prefix token, which texts may already start with.
    prefix_text: Option<String>,
}

impl Tokenizer {
    /// Reads tokenizer.json, and the BOS and EOS tokens from `tokenizer_config.json` or else config.json.
    ///
    /// # Errors
    /// When tokenizer.json is missing or malformed.
    pub fn read(directory: &Path) -> Result<Self> {
        let file = directory.join("tokenizer.json");
        if !file.is_file() {
            let way_out = "only fast tokenizers are read; save one with transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)";
            return Err(ModelError::MissingFile {
                path: file,
                way_out,
            });
        }
        let inner =
            tokenizers::Tokenizer::from_file(&file).map_err(|error| bad_file(&file, error))?;
        let named = read_json(&directory.join("tokenizer_config.json"))?;
        let config = read_json(&directory.join("config.json"))?;
        let special = |name: &str, id: &str| {
            let text = named
                .get(name)
                .and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
            let from_text = text.and_then(|text| inner.token_to_id(text));
            from_text.or_else(|| first_id(config.get(id)?))
        };
        let (bos, eos) = (
            special("bos_token", "bos_token_id"),
            special("eos_token", "eos_token_id"),
        );
        Self::new(inner, bos, eos)
    }

    /// Wraps a tokenizer whose special tokens are known.
    ///
    /// # Errors
    /// When a special token's id cannot be decoded.
    pub fn new(
        mut inner: tokenizers::Tokenizer,
        bos: Option<u32>,
        eos: Option<u32>,
    ) -> Result<Self> {
        // A tokenizer.json may ask for padding or truncation; lm-eval tokenizes each text alone and whole.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(tokenizer_error)?;
        let prefix_text = match bos.or(eos) {
            Some(prefix) => Some(inner.decode(&[prefix], false).map_err(tokenizer_error)?)
                .filter(|text| !text.is_empty()),
            None => None,
        };
        Ok(Self {
            inner,
            bos,
            eos,
            prefix_text,
        })
    }

    /// Token ids with the special tokens that the tokenizer adds by default; none are added to a text that already
    /// starts with the prefix token, as in lm-eval.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let has_prefix = self
            .prefix_text
            .as_ref()
            .is_some_and(|prefix| text.starts_with(prefix));
        self.encode_with(text, !has_prefix)
    }

    /// Token ids without any added special token.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_bare(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_with(text, false)
    }

    fn encode_with(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, special)
            .map_err(tokenizer_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of token ids.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn decode(&self, tokens: &[u32], skip_special: bool) -> Result<String> {
        self.inner
            .decode(tokens, skip_special)
            .map_err(tokenizer_error)
    }

    /// The end-of-text token.
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// The beginning-of-text token.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// What conditions the first token of a text without context: BOS, else EOS.
    pub fn prefix(&self) -> Option<u32> {
        self.bos.or(self.eos)
    }

    /// The text of a token id, as in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

/// An absent file reads as null: both files are optional here.
fn read_json(file: &Path) -> Result<Value> {
    if !file.is_file() {
        return Ok(Value::Null);
    }
    let text = std::fs::read_to_string(file).map_err(io(file))?;
    serde_json::from_str(&text).map_err(|error| bad_file(file, error))
}

/// An id, or the first of a list of ids.
fn first_id(value: &Value) -> Option<u32> {
    let id = value
        .as_u64()
        .or_else(|| value.as_array()?.first()?.as_u64())?;
    u32::try_from(id).ok()
}

#[allow(clippy::needless_pass_by_value, reason = "used as a map_err argument")]
fn tokenizer_error(error: tokenizers::Error) -> ModelError {
    ModelError::BadInput(format!("tokenizer: {error}"))
}
