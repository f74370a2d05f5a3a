//! Text to token ids and back, with the facts about special tokens that scoring and training need. Knows no prompts.

mod settings;

use std::path::Path;

use crate::error::{ModelError, Result, bad_file};

pub(crate) use settings::TokenizerSettings;

/// A model's tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    /// All tokens that end a text, `eos` last if no list names it.
    eos_tokens: Vec<u32>,
    /// Text of the prefix token, which texts may already start with.
    prefix_text: Option<String>,
    chat_template: Option<String>,
}

/// The special tokens around a text that is encoded as the tokenizer does by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddedTokens {
    /// Before the text.
    pub before: Vec<u32>,
    /// After it.
    pub after: Vec<u32>,
}

impl Tokenizer {
    /// Reads tokenizer.json, and special tokens and chat template from the files beside it.
    ///
    /// Special tokens are added where tokenizer.json's post-processor adds them, as with transformers' `AutoTokenizer`.
    ///
    /// # Errors
    /// When tokenizer.json is missing or a file is malformed.
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
        Self::new(inner, &TokenizerSettings::read(directory)?)
    }

    /// Joins the two halves: how texts are split, and what the special tokens are.
    pub(crate) fn new(
        mut inner: tokenizers::Tokenizer,
        settings: &TokenizerSettings,
    ) -> Result<Self> {
        // A tokenizer.json may ask for padding or truncation; lm-eval tokenizes each text alone and whole.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(tokenizer_error)?;
        if settings.drops_post_processor() {
            inner.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
        }
        let special = |name| settings.special(name, |text| inner.token_to_id(text));
        let (bos, eos, pad) = (
            special("bos_token"),
            special("eos_token"),
            special("pad_token"),
        );
        let mut eos_tokens = settings.eos_ids();
        eos_tokens.extend(eos.filter(|eos| !eos_tokens.contains(eos)));
        let prefix_text = match bos.or(eos) {
            Some(prefix) => Some(inner.decode(&[prefix], false).map_err(tokenizer_error)?)
                .filter(|text| !text.is_empty()),
            None => None,
        };
        Ok(Self {
            inner,
            bos,
            eos,
            pad,
            eos_tokens,
            prefix_text,
            chat_template: settings.chat_template(),
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

    /// Every token that ends a generated text: those of `generation_config.json` (or else config.json) and the tokenizer's
    /// own, each once.
    pub fn eos_tokens(&self) -> Vec<u32> {
        self.eos_tokens.clone()
    }

    /// The padding token.
    pub fn pad(&self) -> Option<u32> {
        self.pad
    }

    /// The Jinja template that makes one text of a conversation.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// The special tokens that [`Self::encode`] puts around a text.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn added_tokens(&self) -> Result<AddedTokens> {
        let (with, bare) = (self.encode_with("a", true)?, self.encode_with("a", false)?);
        // A vocabulary without "a" leaves only what is added.
        let found = with
            .windows(bare.len().max(1))
            .position(|part| part == bare);
        Ok(
            found.map_or_else(AddedTokens::default, |start| AddedTokens {
                before: with[..start].to_vec(),
                after: with[start + bare.len()..].to_vec(),
            }),
        )
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

#[allow(clippy::needless_pass_by_value, reason = "used as a map_err argument")]
fn tokenizer_error(error: tokenizers::Error) -> ModelError {
    ModelError::BadInput(format!("tokenizer: {error}"))
}
