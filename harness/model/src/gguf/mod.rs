//! Models in llama.cpp's GGUF format: read as if a model directory lay in the file, weights dequantized to f32 or matrices kept
//! in their quantized blocks.
//!
//! The architectures of `architecture.rs` are read, with the tokenizers of `words.rs` and `sentencepiece.rs` or a tokenizer.json
//! beside the file; everything else is refused by name. Nothing is computed with quantized numbers.

mod architecture;
mod config;
mod places;
mod rope;
mod sentencepiece;
mod tensors;
mod tokenizer;
mod words;

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value};

use crate::error::{ModelError, Result, bad_file, first_line, io};
use crate::families::spec_of;
use crate::spec::DecoderSpec;
use architecture::Architecture;
pub(crate) use tensors::Storage;

/// More than any model has; what a damaged file asks for must not fill the memory.
const MOST_LAYERS: usize = 10_000;

/// An opened GGUF file: metadata and the list of tensors.
pub(crate) struct GgufFile {
    path: PathBuf,
    content: Content,
    reader: BufReader<File>,
    architecture: &'static Architecture,
    /// Divisors of the rotary frequencies.
    divisors: rope::Divisors,
}

impl GgufFile {
    /// Reads the header.
    ///
    /// # Errors
    /// When the file is no GGUF file or is cut short, or holds an architecture that is not read.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut reader = BufReader::new(File::open(path).map_err(io(path))?);
        // candle divides by the file's own `general.alignment`, which may be zero.
        let content = catch_unwind(AssertUnwindSafe(|| Content::read(&mut reader)))
            .map_err(|_| bad_file(path, "the GGUF header makes no sense"))?
            .map_err(|error| bad_file(path, unreadable(&first_line(&error))))?;
        let architecture = architecture_of(path, &content)?;
        let divisors = rope::read_divisors(architecture, &content, &mut reader)
            .map_err(|(name, error)| damaged(path, name, &error))?;
        Ok(Self {
            path: path.to_owned(),
            content,
            reader,
            architecture,
            divisors,
        })
    }

    /// What the decoder has to do.
    ///
    /// # Errors
    /// When metadata is missing or asks for something that is not supported.
    pub(crate) fn spec(&self) -> Result<DecoderSpec> {
        spec_of(&self.path, &self.config()?)
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

    fn flags(&self, key: &str) -> Result<Vec<bool>> {
        let flags = self.list(key)?.iter().map(|value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        });
        flags
            .collect::<Option<_>>()
            .ok_or_else(|| self.bad(key, "a list of true and false"))
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
        bad_value(&self.path, self.get(key), key, expected)
    }

    fn unsupported(&self, key: &str, detail: &str) -> ModelError {
        unsupported(&self.path, self.get(key), key, detail)
    }
}

fn architecture_of(path: &Path, content: &Content) -> Result<&'static Architecture> {
    let key = "general.architecture";
    let value = content.metadata.get(key);
    let Some(Value::String(name)) = value else {
        return Err(bad_value(path, value, key, "a string"));
    };
    Architecture::named(name).ok_or_else(|| {
        let detail = format!(
            " in GGUF files ({} are); take the model's safetensors",
            Architecture::names()
        );
        unsupported(path, value, key, &detail)
    })
}

/// What is wrong with a file whose header cannot be read.
fn unreadable(problem: &str) -> String {
    if problem.contains("unknown dtype") {
        return format!(
            "a tensor has a storage type that is not supported ({problem}; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K are)"
        );
    }
    format!("no GGUF file, or damaged ({problem})")
}

fn bad_value(path: &Path, value: Option<&Value>, key: &str, expected: &str) -> ModelError {
    let found = match value {
        None => "it is missing".to_owned(),
        Some(value) => format!("it is {}", shown(value)),
    };
    bad_file(path, format!("{key} must be {expected}; {found}"))
}

fn unsupported(path: &Path, value: Option<&Value>, key: &str, detail: &str) -> ModelError {
    let value = value.map_or("nothing".to_owned(), shown);
    ModelError::Unsupported {
        path: path.to_owned(),
        setting: format!("{key}: {value}"),
        detail: detail.to_owned(),
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
