//! The tokenizer of a GGUF file: tokenizer.json beside it where there is one, else what the metadata amount to. Kinds of
//! vocabulary that cannot be translated exactly are refused.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::words::{Words, byte_level};
use super::{GgufFile, integer};
use crate::error::{Result, bad_file, io};
use crate::tokenizer::{Tokenizer, TokenizerSettings};

/// llama.cpp's token types.
pub(super) mod kind {
    pub(in crate::gguf) const NORMAL: i64 = 1;
    pub(in crate::gguf) const CONTROL: i64 = 3;
    pub(in crate::gguf) const USER_DEFINED: i64 = 4;
}

pub(super) const WAY_OUT: &str = " in GGUF files; put the model's tokenizer.json beside the file";

impl GgufFile {
    /// The tokenizer.
    ///
    /// # Errors
    /// When metadata is missing or describes another kind of tokenizer, and when tokenizer.json does not fit the model.
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer> {
        let Some(beside) = self.beside() else {
            let inner = serde_json::from_value(self.tokenizer_json()?)
                .map_err(|error| bad_file(&self.path, format!("tokenizer: {error}")))?;
            return Tokenizer::new(inner, &self.settings()?);
        };
        let inner =
            tokenizers::Tokenizer::from_file(&beside).map_err(|error| bad_file(&beside, error))?;
        let (ids, rows) = (inner.get_vocab_size(true), self.vocabulary_rows()?);
        if ids > rows {
            let problem =
                format!("has {ids} tokens, the model beside it {rows}: it is another model's");
            return Err(bad_file(&beside, problem));
        }
        Tokenizer::new(inner, &self.settings()?)
    }

    /// The files besides the weights that a model directory of this model has, by name.
    ///
    /// # Errors
    /// As for the description and the tokenizer.
    pub(crate) fn small_files(&self) -> Result<Vec<(String, String)>> {
        let text = |value: &Value| format!("{value:#}\n");
        let tokenizer = match self.beside() {
            Some(beside) => std::fs::read_to_string(&beside).map_err(io(&beside))?,
            None => text(&self.tokenizer_json()?),
        };
        let settings = self.settings()?;
        let mut files = vec![
            ("config.json".to_owned(), text(&settings.config)),
            ("tokenizer.json".to_owned(), tokenizer),
            (
                "tokenizer_config.json".to_owned(),
                text(&settings.tokenizer_config),
            ),
            (
                "generation_config.json".to_owned(),
                text(&settings.generation),
            ),
        ];
        if !settings.special_tokens.is_null() {
            let name = "special_tokens_map.json".to_owned();
            files.push((name, text(&settings.special_tokens)));
        }
        files.extend(settings.named_template_files());
        Ok(files)
    }

    /// tokenizer.json in the file's folder, if it is there.
    fn beside(&self) -> Option<PathBuf> {
        let beside = self.path.with_file_name("tokenizer.json");
        beside.is_file().then_some(beside)
    }

    /// What is said about special tokens: by the files beside tokenizer.json where that is there, else by the metadata.
    fn settings(&self) -> Result<TokenizerSettings> {
        let beside = match self.beside().as_deref().and_then(std::path::Path::parent) {
            Some(folder) => TokenizerSettings::read(folder)?,
            None => TokenizerSettings::default(),
        };
        let tokenizer_config = match beside.tokenizer_config {
            Value::Null => self.tokenizer_config()?,
            given => given,
        };
        Ok(TokenizerSettings {
            tokenizer_config,
            config: self.config()?,
            generation: self.generation_config()?,
            ..beside
        })
    }

    fn tokenizer_json(&self) -> Result<Value> {
        let model = "tokenizer.ggml.model";
        let tokens = self.texts("tokenizer.ggml.tokens")?;
        let vocabulary: Map<String, Value> = (tokens.iter().enumerate())
            .map(|(id, token)| ((*token).to_owned(), id.into()))
            .collect();
        let mut json = json!({ "version": "1.0", "added_tokens": self.added_tokens(&tokens)? });
        let (parts, bos) = match self.text(model)? {
            "gpt2" => {
                let words = self.words()?;
                (self.byte_level_bpe(words, &vocabulary)?, words.like_llama3)
            }
            "llama" => (self.sentencepiece(&tokens, &vocabulary)?, true),
            _ => {
                let known = " in GGUF files (gpt2, byte-level BPE, and llama, SentencePiece with scores, are); put the model's tokenizer.json beside the file";
                return Err(self.unsupported(model, known));
            }
        };
        json["post_processor"] = self.post_processor(&tokens, bos)?;
        for (name, part) in parts {
            json[name] = part;
        }
        Ok(json)
    }

    fn byte_level_bpe(
        &self,
        words: &Words,
        vocabulary: &Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        let normalizer = words.normalizer.map(|name| json!({ "type": name }));
        let model = json!({
            "type": "BPE",
            "vocab": vocabulary,
            "merges": self.texts("tokenizer.ggml.merges")?,
            "ignore_merges": words.like_llama3,
        });
        let parts = [
            ("normalizer", json!(normalizer)),
            (
                "pre_tokenizer",
                json!({ "type": "Sequence", "pretokenizers": (words.steps)() }),
            ),
            ("decoder", byte_level(true)),
            ("model", model),
        ];
        Ok(parts
            .map(|(name, part)| (name.to_owned(), part))
            .into_iter()
            .collect())
    }

    fn tokenizer_config(&self) -> Result<Value> {
        let tokens = self.texts("tokenizer.ggml.tokens")?;
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.role(&tokens, "bos")?,
            "eos_token": self.role(&tokens, "eos")?,
            "unk_token": self.role(&tokens, "unknown")?,
            "pad_token": self.role(&tokens, "padding")?,
            "model_max_length": self.sized("context_length")?,
        });
        let default = "tokenizer.chat_template";
        let others = match self.get("tokenizer.chat_templates") {
            Some(_) => self.texts("tokenizer.chat_templates")?,
            None => Vec::new(),
        };
        let named = |key: &str, name: &str| -> Result<Value> {
            Ok(json!({ "name": name, "template": self.text(key)? }))
        };
        let mut templates = Vec::new();
        if self.get(default).is_some() {
            templates.push(named(default, "default")?);
        }
        for name in others {
            templates.push(named(&format!("{default}.{name}"), name)?);
        }
        config["chat_template"] = templates.into();
        Ok(config)
    }

    /// Text of the token in a role.
    pub(super) fn role<'a>(&self, tokens: &[&'a str], role: &str) -> Result<Option<&'a str>> {
        let Some(id) = self.token_id(role)? else {
            return Ok(None);
        };
        let outside = || {
            let key = format!("tokenizer.ggml.{role}_token_id");
            self.bad(&key, &format!("below {}", tokens.len()))
        };
        tokens.get(id).copied().map(Some).ok_or_else(outside)
    }

    /// llama.cpp's type of every token.
    pub(super) fn kinds(&self, tokens: &[&str]) -> Result<Vec<Option<i64>>> {
        let key = "tokenizer.ggml.token_type";
        let types = self.list(key)?;
        if types.len() != tokens.len() {
            return Err(self.bad(key, &format!("a list of {}", tokens.len())));
        }
        Ok(types.iter().map(integer).collect())
    }

    fn added_tokens(&self, tokens: &[&str]) -> Result<Vec<Value>> {
        let kinds = self.kinds(tokens)?.into_iter();
        let added = kinds.zip(tokens).enumerate().filter_map(|(id, (kind, token))| {
            let special = match kind? {
                kind::CONTROL => true,
                kind::USER_DEFINED => false,
                _ => return None,
            };
            Some(json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special,
            }))
        });
        Ok(added.collect())
    }

    fn words(&self) -> Result<&'static Words> {
        let key = "tokenizer.ggml.pre";
        let name = match self.get(key) {
            None => "default",
            Some(_) => self.text(key)?,
        };
        Words::named(name).ok_or_else(|| {
            let known = format!(
                " in GGUF files ({} are); put the model's tokenizer.json beside the file",
                Words::names()
            );
            self.unsupported(key, &known)
        })
    }

    /// BOS before and EOS after every text, where the file says so; `bos` where it says nothing.
    fn post_processor(&self, tokens: &[&str], bos: bool) -> Result<Value> {
        let around = [
            ("bos", self.flag("tokenizer.ggml.add_bos_token", bos)?),
            ("eos", self.flag("tokenizer.ggml.add_eos_token", false)?),
        ];
        let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        let (mut single, mut special) = (vec![text], Map::new());
        for (role, _) in around.into_iter().filter(|(_, added)| *added) {
            let (Some(id), Some(token)) = (self.token_id(role)?, self.role(tokens, role)?) else {
                let problem =
                    format!("tokenizer.ggml.add_{role}_token is on, but there is no {role} token");
                return Err(bad_file(&self.path, problem));
            };
            let piece = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
            match role {
                "bos" => single.insert(0, piece),
                _ => single.push(piece),
            }
            special.insert(
                token.to_owned(),
                json!({ "id": token, "ids": [id], "tokens": [token] }),
            );
        }
        Ok(json!({
            "type": "TemplateProcessing", "single": single, "special_tokens": special,
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        }))
    }
}
