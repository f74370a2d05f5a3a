//! What the files beside tokenizer.json say: special tokens, end-of-text tokens, chat template. Never what tokens a text has.

use std::path::Path;

use serde_json::Value;

use crate::error::{Result, bad_file, io};

/// Classes whose constructor in transformers takes out whatever post-processor tokenizer.json has.
const WITHOUT_POST_PROCESSOR: [&str; 2] = ["GPTNeoXTokenizer", "GPTNeoXTokenizerFast"];

/// The parsed files; an absent one is null.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenizerSettings {
    /// `tokenizer_config.json`.
    pub(crate) tokenizer_config: Value,
    /// `special_tokens_map.json`.
    pub(crate) special_tokens: Value,
    /// config.json of the model.
    pub(crate) config: Value,
    /// `generation_config.json`.
    pub(crate) generation: Value,
    /// `chat_template.jinja`.
    pub(crate) chat_template: Option<String>,
}

impl TokenizerSettings {
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let template = directory.join("chat_template.jinja");
        let chat_template = if template.is_file() {
            Some(std::fs::read_to_string(&template).map_err(io(&template))?)
        } else {
            None
        };
        Ok(Self {
            tokenizer_config: read_json(&directory.join("tokenizer_config.json"))?,
            special_tokens: read_json(&directory.join("special_tokens_map.json"))?,
            config: read_json(&directory.join("config.json"))?,
            generation: read_json(&directory.join("generation_config.json"))?,
            chat_template,
        })
    }

    /// Id of `bos_token`, `eos_token` or `pad_token`: by the text that `tokenizer_config.json` gives, where null means none,
    /// else `special_tokens_map.json`, else the model's own id.
    pub(crate) fn special(&self, name: &str, id_of: impl Fn(&str) -> Option<u32>) -> Option<u32> {
        let sources = [&self.tokenizer_config, &self.special_tokens];
        match sources.iter().find_map(|source| source.get(name)) {
            Some(Value::Null) => None,
            Some(token) => {
                let text = token.as_str().or_else(|| token.get("content")?.as_str());
                text.and_then(id_of)
            }
            None => ids(self.config.get(format!("{name}_id"))).first().copied(),
        }
    }

    /// Tokens that end a generation: of `generation_config.json`, else of config.json, as transformers' `generate` has it.
    pub(crate) fn eos_ids(&self) -> Vec<u32> {
        match self.generation.get("eos_token_id") {
            Some(value) => ids(Some(value)),
            None => ids(self.config.get("eos_token_id")),
        }
    }

    /// The template in a file of its own, else in `tokenizer_config.json`: a text, or of several the one called "default".
    pub(crate) fn chat_template(&self) -> Option<String> {
        let in_config = || match self.tokenizer_config.get("chat_template")? {
            Value::String(text) => Some(text.clone()),
            Value::Array(named) => {
                let default = named.iter().find(|entry| entry["name"] == "default")?;
                default["template"].as_str().map(str::to_owned)
            }
            _ => None,
        };
        self.chat_template.clone().or_else(in_config)
    }

    /// Whether the tokenizer's class takes out the post-processor and so adds no special token.
    ///
    /// Otherwise tokenizer.json alone decides: transformers 5 drops `add_bos_token` and `add_eos_token` of
    /// `tokenizer_config.json` where there is a tokenizer.json, whatever the class.
    pub(crate) fn drops_post_processor(&self) -> bool {
        let class = self.tokenizer_config.get("tokenizer_class");
        class
            .and_then(Value::as_str)
            .is_some_and(|class| WITHOUT_POST_PROCESSOR.contains(&class))
    }
}

/// An absent file reads as null: all of these are optional.
fn read_json(file: &Path) -> Result<Value> {
    if !file.is_file() {
        return Ok(Value::Null);
    }
    let text = std::fs::read_to_string(file).map_err(io(file))?;
    serde_json::from_str(&text).map_err(|error| bad_file(file, error))
}

/// An id, or a list of ids.
fn ids(value: Option<&Value>) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(value) => id(value).into_iter().collect(),
        None => Vec::new(),
    }
}
