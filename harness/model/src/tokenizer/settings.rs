//! What the files beside tokenizer.json say: special tokens, end-of-text tokens, chat template. Never what tokens a text has.

use std::path::{Path, PathBuf};

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
    /// Templates in files of their own, by name: `chat_template.jinja` is "default".
    pub(crate) template_files: Vec<NamedTemplate>,
}

/// A chat template with its name.
pub(crate) type NamedTemplate = (String, String);

/// The template of a model that has one.
pub(crate) const DEFAULT_TEMPLATE: &str = "default";
/// Where the templates with other names are.
pub(crate) const TEMPLATE_FOLDER: &str = "additional_chat_templates";

impl TokenizerSettings {
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        Ok(Self {
            tokenizer_config: read_json(&directory.join("tokenizer_config.json"))?,
            special_tokens: read_json(&directory.join("special_tokens_map.json"))?,
            config: read_json(&directory.join("config.json"))?,
            generation: read_json(&directory.join("generation_config.json"))?,
            template_files: template_files(directory)?,
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

    /// Chat templates with their names: those in files of their own, else those of `tokenizer_config.json`, where a text alone is
    /// "default".
    pub(crate) fn chat_templates(&self) -> Vec<NamedTemplate> {
        if !self.template_files.is_empty() {
            return self.template_files.clone();
        }
        let named = |entry: &Value| {
            let text = |key| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            Some((text("name")?, text("template")?))
        };
        match self.tokenizer_config.get("chat_template") {
            Some(Value::String(text)) => vec![(DEFAULT_TEMPLATE.to_owned(), text.clone())],
            Some(Value::Array(entries)) => entries.iter().filter_map(named).collect(),
            _ => Vec::new(),
        }
    }

    /// The files that hold the templates of files, by their paths within a model directory.
    pub(crate) fn named_template_files(self) -> impl Iterator<Item = NamedTemplate> {
        let place = |(name, template): NamedTemplate| match name.as_str() {
            DEFAULT_TEMPLATE => ("chat_template.jinja".to_owned(), template),
            other => (format!("{TEMPLATE_FOLDER}/{other}.jinja"), template),
        };
        self.template_files.into_iter().map(place)
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

/// `chat_template.jinja`, then `additional_chat_templates/NAME.jinja` by name.
fn template_files(directory: &Path) -> Result<Vec<NamedTemplate>> {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let folder = directory.join(TEMPLATE_FOLDER);
    if folder.is_dir() {
        for entry in std::fs::read_dir(&folder).map_err(io(&folder))? {
            let path = entry.map_err(io(&folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.and_then(|name| name.strip_suffix(".jinja")) {
                files.push((name.to_owned(), path));
            }
        }
        files.sort();
    }
    let default = directory.join("chat_template.jinja");
    if default.is_file() {
        files.insert(0, (DEFAULT_TEMPLATE.to_owned(), default));
    }
    let read = |(name, path): (String, PathBuf)| {
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        Ok((name, text))
    };
    files.into_iter().map(read).collect()
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
