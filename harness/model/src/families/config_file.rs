//! Typed access to a config.json, with errors that name file and key. Knows JSON, no model family.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{ModelError, Result, bad_file, io};

/// No model has more of anything; what a damaged file asks for must not fill the memory.
const LARGEST_COUNT: u64 = 1 << 24;

/// A parsed config.json.
pub(crate) struct ConfigFile {
    path: PathBuf,
    values: Map<String, Value>,
}

impl ConfigFile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let way_out = "a model directory in Hugging Face layout has config.json, *.safetensors and tokenizer.json";
        if !path.is_file() {
            return Err(ModelError::MissingFile {
                path: path.to_owned(),
                way_out,
            });
        }
        let text = std::fs::read_to_string(path).map_err(io(path))?;
        let config = serde_json::from_str(&text).map_err(|error| bad_file(path, error))?;
        Self::from_value(path, &config)
    }

    /// A parsed config.json; errors name `path`.
    pub(crate) fn from_value(path: &Path, config: &Value) -> Result<Self> {
        let values = config.as_object().cloned();
        Ok(Self {
            path: path.to_owned(),
            values: values.ok_or_else(|| bad_file(path, "must be a JSON object"))?,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a key; null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, key: &str) -> Result<String> {
        let text = self.get(key).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| self.bad(key, "a string"))
    }

    pub(crate) fn count(&self, key: &str) -> Result<usize> {
        self.optional_count(key)?
            .ok_or_else(|| self.bad(key, "a positive integer"))
    }

    pub(crate) fn optional_count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let count = value.as_u64().filter(|&n| n > 0 && n <= LARGEST_COUNT);
        count
            .map(|n| Some(n as usize))
            .ok_or_else(|| self.bad(key, "a positive integer of at most 16777216"))
    }

    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|x| x.is_finite())
                .ok_or_else(|| self.bad(key, "a number")),
        }
    }

    /// A number above zero; null counts as absent.
    pub(crate) fn positive(&self, key: &str, default: f64) -> Result<f64> {
        match self.number(key, default)? {
            number if number > 0.0 => Ok(number),
            _ => Err(self.bad(key, "a positive number")),
        }
    }

    /// A number above zero, or none where the file says null; `absent` where it says nothing.
    pub(crate) fn positive_or(&self, key: &str, absent: Option<f64>) -> Result<Option<f64>> {
        match self.values.get(key) {
            None => Ok(absent),
            Some(Value::Null) => Ok(None),
            Some(_) => self.positive(key, 0.0).map(Some),
        }
    }

    /// A count, or none where the file says null; `absent` where it says nothing.
    pub(crate) fn count_or(&self, key: &str, absent: usize) -> Result<Option<usize>> {
        if self.values.contains_key(key) {
            self.optional_count(key)
        } else {
            Ok(Some(absent))
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.bad(key, "true or false")),
        }
    }

    /// Refuses `key` unless it is absent or has the one value that the decoder computes.
    pub(crate) fn require(&self, key: &str, only: &Value) -> Result<()> {
        match self.get(key) {
            Some(value) if value != only => {
                Err(self.unsupported(key, &format!(" (only {only} is)")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses keys that this family does not read although others do.
    pub(crate) fn refuse(&self, keys: &[&str]) -> Result<()> {
        match keys.iter().find(|key| self.get(key).is_some()) {
            Some(key) => Err(self.unsupported(key, " in this family")),
            None => Ok(()),
        }
    }

    /// Refuses keys that are neither read by the family nor known to leave the computation alone.
    pub(crate) fn require_known(&self, read: &[&[&str]]) -> Result<()> {
        let known = |key: &str| {
            let is_read = read.iter().any(|keys| keys.contains(&key));
            is_read || INERT.contains(&key) || key.starts_with('_')
        };
        match self
            .values
            .iter()
            .find(|(key, value)| !value.is_null() && !known(key))
        {
            Some((key, _)) => Err(self.unsupported(
                key,
                "; remove it from the file if it does not change the computation",
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn unsupported(&self, key: &str, detail: &str) -> ModelError {
        let value = self.get(key).unwrap_or(&Value::Null);
        let setting = format!("{key}: {value}");
        ModelError::Unsupported {
            path: self.path.clone(),
            setting,
            detail: detail.to_owned(),
        }
    }

    pub(crate) fn bad(&self, key: &str, expected: &str) -> ModelError {
        let found = self
            .get(key)
            .map_or("it is missing".to_owned(), |value| format!("found {value}"));
        bad_file(&self.path, format!("{key} must be {expected}; {found}"))
    }
}

/// Keys that say how a model was made, stored or sampled from, not what it computes. Dropout is among them: it is for training,
/// and training here goes without.
const INERT: [&str; 43] = [
    "architectures",
    "attention_dropout",
    "attn_pdrop",
    "auto_map",
    "bad_words_ids",
    "bos_token_id",
    "chunk_size_feed_forward",
    "do_sample",
    "dropout",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "finetuning_task",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "is_llama_config",
    "label2id",
    "max_length",
    "max_new_tokens",
    "model_type",
    "name_or_path",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "repetition_penalty",
    "resid_pdrop",
    "return_dict",
    "return_dict_in_generate",
    "temperature",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "use_cache",
];
