//! Models in llama.cpp's GGUF format: read as if a model directory lay in the file, weights dequantized to f32.
//!
//! Llama-architecture files with a byte-level BPE tokenizer are read; everything else is refused by name. Nothing is computed
//! with quantized weights.

mod config;
mod rope;
mod tensors;
mod tokenizer;

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value};

use crate::error::{ModelError, Result, bad_file, first_line, io};
use crate::families::spec_of;
use crate::spec::DecoderSpec;
use crate::tokenizer::{Tokenizer, TokenizerSettings};

/// An opened GGUF file: metadata and the list of tensors.
pub(crate) struct GgufFile {
    path: PathBuf,
    content: Content,
    reader: BufReader<File>,
    /// Divisors of the rotary frequencies.
    rope_factors: Option<Vec<f32>>,
}

impl GgufFile {
    /// Reads the header.
    ///
    /// # Errors
    /// When the file is no GGUF file or is cut short, or holds another architecture than llama.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut reader = BufReader::new(File::open(path).map_err(io(path))?);
        // candle divides by the file's own `general.alignment`, which may be zero.
        let content = catch_unwind(AssertUnwindSafe(|| Content::read(&mut reader)))
            .map_err(|_| bad_file(path, "the GGUF header makes no sense"))?
            .map_err(|error| {
                let problem = format!("no GGUF file, or damaged ({})", first_line(&error));
                bad_file(path, problem)
            })?;
        let rope_factors = rope::read_factors(&content, &mut reader)
            .map_err(|error| damaged(path, rope::FACTORS, &error))?;
        let file = Self {
            path: path.to_owned(),
            content,
            reader,
            rope_factors,
        };
        match file.text("general.architecture")? {
            "llama" => Ok(file),
            _ => Err(file.unsupported(
                "general.architecture",
                " in GGUF files (llama is); take the model's safetensors",
            )),
        }
    }

    /// What the decoder has to do.
    ///
    /// # Errors
    /// When metadata is missing or asks for something that is not supported.
    pub(crate) fn spec(&self) -> Result<DecoderSpec> {
        spec_of(&self.path, &self.config()?)
    }

    /// The tokenizer that the metadata describes.
    ///
    /// # Errors
    /// When metadata is missing or describes another kind of tokenizer.
    pub(crate) fn tokenizer(&self) -> Result<Tokenizer> {
        let inner = serde_json::from_value(self.tokenizer_json()?)
            .map_err(|error| bad_file(&self.path, format!("tokenizer: {error}")))?;
        let settings = TokenizerSettings {
            tokenizer_config: self.tokenizer_config()?,
            config: self.config()?,
            generation: self.generation_config()?,
            ..TokenizerSettings::default()
        };
        Tokenizer::new(inner, &settings)
    }

    /// The files besides the weights that a model directory of this model has, by name.
    ///
    /// # Errors
    /// As [`Self::spec`] and [`Self::tokenizer`].
    pub(crate) fn small_files(&self) -> Result<Vec<(&'static str, String)>> {
        let files = [
            ("config.json", self.config()?),
            ("tokenizer.json", self.tokenizer_json()?),
            ("tokenizer_config.json", self.tokenizer_config()?),
            ("generation_config.json", self.generation_config()?),
        ];
        let text = |value: &serde_json::Value| format!("{value:#}\n");
        Ok(files
            .into_iter()
            .map(|(name, value)| (name, text(&value)))
            .collect())
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    fn text(&self, key: &str) -> Result<&str> {
        match self.get(key) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(self.bad(key, "a string")),
        }
    }

    fn count(&self, key: &str) -> Result<usize> {
        self.optional_count(key)?
            .ok_or_else(|| self.bad(key, "a whole number"))
    }

    fn optional_count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match integer(value).and_then(|count| usize::try_from(count).ok()) {
            Some(count) if count < 1 << 40 => Ok(Some(count)),
            _ => Err(self.bad(key, "a whole number")),
        }
    }

    /// A number as the shortest decimal that gives the stored f32, which is what the model's author wrote.
    fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::F32(x)) if x.is_finite() => Ok(x.to_string().parse().ok()),
            Some(Value::F64(x)) if x.is_finite() => Ok(Some(*x)),
            Some(_) => Err(self.bad(key, "a finite number")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.bad(key, "true or false")),
        }
    }

    fn list(&self, key: &str) -> Result<&[Value]> {
        match self.get(key) {
            Some(Value::Array(list)) => Ok(list),
            _ => Err(self.bad(key, "a list")),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<&str>> {
        let texts = self.list(key)?.iter().map(|value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        });
        texts
            .collect::<Option<_>>()
            .ok_or_else(|| self.bad(key, "a list of strings"))
    }

    fn bad(&self, key: &str, expected: &str) -> ModelError {
        let found = match self.get(key) {
            None => "it is missing".to_owned(),
            Some(value) => format!("it is {}", shown(value)),
        };
        bad_file(&self.path, format!("{key} must be {expected}; {found}"))
    }

    fn unsupported(&self, key: &str, detail: &str) -> ModelError {
        let value = self.get(key).map_or("nothing".to_owned(), shown);
        ModelError::Unsupported {
            path: self.path.clone(),
            setting: format!("{key}: {value}"),
            detail: detail.to_owned(),
        }
    }
}

/// A tensor that cannot be read, by name.
fn damaged(path: &Path, tensor: &str, error: &candle_core::Error) -> ModelError {
    bad_file(path, format!("{tensor}: {}", first_line(error)))
}

/// Any of the format's eight integer types.
fn integer(value: &Value) -> Option<i64> {
    match *value {
        Value::U8(n) => Some(n.into()),
        Value::I8(n) => Some(n.into()),
        Value::U16(n) => Some(n.into()),
        Value::I16(n) => Some(n.into()),
        Value::U32(n) => Some(n.into()),
        Value::I32(n) => Some(n.into()),
        Value::U64(n) => i64::try_from(n).ok(),
        Value::I64(n) => Some(n),
        _ => None,
    }
}

/// A value in an error message; lists are long.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::String(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        Value::F32(x) => x.to_string(),
        Value::F64(x) => x.to_string(),
        Value::Bool(flag) => flag.to_string(),
        other => integer(other).map_or_else(|| "no number".to_owned(), |n| n.to_string()),
    }
}
