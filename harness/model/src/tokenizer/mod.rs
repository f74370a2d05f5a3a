//! Text to token ids and back, with the facts about special tokens that scoring and training need. Knows no prompts.

mod settings;

use std::path::Path;

use crate::error::{ModelError, Result, bad_file};

use settings::{DEFAULT_TEMPLATE, NamedTemplate};
pub(crate) use settings::{TEMPLATE_FOLDER, TokenizerSettings};

/// A model's tokenizer.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    /// All tokens that end a text, `eos` last if no list names it.
    eos_tokens: Vec<u32>,
    prefix: Option<u32>,
    /// Text of the prefix token, which texts may already start with.
    prefix_text: Option<String>,
    special: SpecialTokens,
    chat_templates: Vec<NamedTemplate>,
}

/// Which special tokens a text gets.
#[derive(Clone, Copy, Debug)]
enum SpecialTokens {
    /// Those of tokenizer.json.
    Own,
    /// BOS before it, where there is a BOS.
    Bos,
    None,
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
        let tokenizer = Self {
            inner,
            bos,
            eos,
            pad,
            eos_tokens,
            prefix: None,
            prefix_text: None,
            special: SpecialTokens::Own,
            chat_templates: settings.chat_templates(),
        };
        match bos.or(eos) {
            Some(prefix) => tokenizer.conditioned_on(prefix),
            None => Ok(tokenizer),
        }
    }

    /// The same with BOS before every text, or with no special token at all: lm-eval's `add_bos_token`.
    #[must_use]
    pub fn with_bos(self, add_bos: bool) -> Self {
        let special = if add_bos {
            SpecialTokens::Bos
        } else {
            SpecialTokens::None
        };
        Self { special, ..self }
    }

    /// The same with another token to condition the first token of a text without context: lm-eval's `prefix_token_id`.
    ///
    /// # Errors
    /// When the vocabulary has no such token.
    pub fn with_prefix(self, prefix: u32) -> Result<Self> {
        if self.token(prefix).is_none() {
            let problem = format!("tokenizer: there is no token {prefix} in the vocabulary");
            return Err(ModelError::BadInput(problem));
        }
        self.conditioned_on(prefix)
    }

    fn conditioned_on(self, prefix: u32) -> Result<Self> {
        let text = self.decode(&[prefix], false)?;
        Ok(Self {
            prefix: Some(prefix),
            prefix_text: Some(text).filter(|text| !text.is_empty()),
            ..self
        })
    }

    /// Token ids with the special tokens that the tokenizer adds, by default or by [`Self::with_bos`]; none are added to a text
    /// that already starts with the prefix token, as in lm-eval.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let has_prefix = self
            .prefix_text
            .as_ref()
            .is_some_and(|prefix| text.starts_with(prefix));
        match self.special {
            _ if has_prefix => self.encode_bare(text),
            SpecialTokens::Own => self.encode_with(text, true),
            SpecialTokens::None => self.encode_bare(text),
            SpecialTokens::Bos => {
                let bare = self.encode_bare(text)?;
                Ok(self.bos.into_iter().chain(bare).collect())
            }
        }
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

    /// The Jinja template that makes one text of a conversation, where no other is asked for by name.
    pub fn chat_template(&self) -> Option<&str> {
        self.named_chat_template(DEFAULT_TEMPLATE)
    }

    /// The template of this name.
    pub fn named_chat_template(&self, name: &str) -> Option<&str> {
        let mut templates = self.chat_templates.iter();
        let (_, template) = templates.find(|(known, _)| known == name)?;
        Some(template)
    }

    /// The names of all chat templates.
    pub fn chat_template_names(&self) -> impl Iterator<Item = &str> {
        self.chat_templates.iter().map(|(name, _)| name.as_str())
    }

    /// The special tokens that tokenizer.json puts around a text.
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

    /// What conditions the first token of a text without context: BOS, else EOS, unless set by [`Self::with_prefix`].
    pub fn prefix(&self) -> Option<u32> {
        self.prefix
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
