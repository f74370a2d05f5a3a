//! `--model-args`, as lm-eval's `hf` model takes them. Refuses those that would change a score and are not computed here.

use std::path::{Path, PathBuf};

use harness_model::{Model, Tokenizer};
use harness_task::python_literal;
use serde_json::{Map, Value, json};

use super::pairs::refuse_unknown;
use crate::exit::Refused;
use crate::model_source::ModelSource;
use crate::options::truth;

const OPTION: &str = "--model-args";

/// Keys that have an effect, then those that lm-eval users pass and that change no score.
const KEYS: [&str; 30] = [
    "pretrained",
    "revision",
    "subfolder",
    "gguf_file",
    "tokenizer",
    "peft",
    "dtype",
    "max_length",
    "add_bos_token",
    "prefix_token_id",
    "enable_thinking",
    "chat_template_args",
    "backend",
    "softmax_dtype",
    "trust_remote_code",
    "parallelize",
    "low_cpu_mem_usage",
    "use_fast_tokenizer",
    "attn_implementation",
    "device_map",
    "device",
    "batch_size",
    "max_batch_size",
    "cache_dir",
    "truncation",
    "logits_cache",
    "max_memory_per_gpu",
    "max_cpu_memory",
    "offload_folder",
    "tp_plan",
];

/// Keys of lm-eval whose effect is missing here, and what to do instead.
const REFUSED: [(&str, &str); 7] = [
    (
        "delta",
        "differences between weights are not added up here; name a directory of their sum",
    ),
    (
        "autogptq",
        "GPTQ weights are not read; name a directory of plain weights, or a GGUF file",
    ),
    (
        "gptqmodel",
        "GPTQ weights are not read; name a directory of plain weights, or a GGUF file",
    ),
    (
        "load_in_4bit",
        "weights are computed in float32; for less memory name a GGUF file, with --keep-quantized",
    ),
    (
        "load_in_8bit",
        "weights are computed in float32; for less memory name a GGUF file, with --keep-quantized",
    ),
    (
        "mixed_precision_dtype",
        "all computation is in float32; leave it out",
    ),
    (
        "think_end_token",
        "thoughts are not cut off; a `regex` filter in the task can take what comes after them",
    ),
];

/// What the arguments come to.
#[derive(Default)]
pub(super) struct ModelArguments {
    pub(super) source: Option<ModelSource>,
    pub(super) adapter: Option<PathBuf>,
    /// Directory of another tokenizer than the model's.
    tokenizer: Option<PathBuf>,
    max_length: Option<usize>,
    add_bos: Option<bool>,
    prefix: Option<u32>,
    /// What the chat template is told.
    pub(super) template_variables: Map<String, Value>,
}

/// Reads what `texts` made of the option's words.
///
/// # Errors
/// On keys and values that have no meaning here.
pub(super) fn read(given: &Map<String, Value>) -> Result<ModelArguments, Refused> {
    let given = Given(given);
    if let Some((key, reason)) = REFUSED.iter().find(|(key, _)| given.is_set(key)) {
        return Err(Refused(format!("{OPTION} {key}: {reason}")));
    }
    let known: Vec<&str> = KEYS
        .into_iter()
        .chain(REFUSED.map(|(key, _)| key))
        .collect();
    refuse_unknown(OPTION, given.0, &known)?;
    given.allow("dtype", &["float32", "float", "torch.float32", "auto"])?;
    given.allow("softmax_dtype", &["float32", "float", "torch.float32"])?;
    given.allow("backend", &["default", "causal"])?;
    Ok(ModelArguments {
        source: Some(given.source()?),
        adapter: given.text("peft").map(PathBuf::from),
        tokenizer: given.text("tokenizer").map(PathBuf::from),
        max_length: given.parsed("max_length", "a positive number of tokens", |text| {
            text.parse().ok().filter(|&length| length > 0)
        })?,
        add_bos: given.parsed("add_bos_token", "True or False", |text| truth(text).ok())?,
        prefix: given.parsed("prefix_token_id", "the id of a token", |text| {
            text.parse().ok()
        })?,
        template_variables: given.template_variables()?,
    })
}

impl ModelArguments {
    /// Puts into force what concerns texts and tokens.
    pub(super) fn apply(&self, model: &mut Model) -> anyhow::Result<()> {
        let mut tokenizer = match &self.tokenizer {
            Some(directory) => Tokenizer::read(directory)?,
            None => model.tokenizer.clone(),
        };
        if let Some(add_bos) = self.add_bos {
            tokenizer = tokenizer.with_bos(add_bos);
        }
        if let Some(prefix) = self.prefix {
            tokenizer = tokenizer.with_prefix(prefix)?;
        }
        model.tokenizer = tokenizer;
        let learned = model.spec.max_positions;
        match self.max_length {
            Some(length) if length > learned && model.spec.embedding.positions.is_some() => {
                let problem = format!(
                    "{OPTION} max_length={length}: this model has learned {learned} positions"
                );
                Err(Refused(problem).into())
            }
            _ => Ok(()),
        }
    }

    /// Longest input in tokens.
    pub(super) fn max_length(&self, model: &Model) -> usize {
        self.max_length.unwrap_or(model.spec.max_positions)
    }

    pub(super) fn tokenizer(&self) -> Option<&Path> {
        self.tokenizer.as_deref()
    }

    /// Those that decide which tokens a text becomes, for the record.
    pub(super) fn of_tokens(&self) -> Map<String, Value> {
        let given = [
            (
                "tokenizer",
                json!(
                    self.tokenizer
                        .as_ref()
                        .map(|path| path.display().to_string())
                ),
            ),
            ("max_length", json!(self.max_length)),
            ("add_bos_token", json!(self.add_bos)),
            ("prefix_token_id", json!(self.prefix)),
        ];
        let set = given.into_iter().filter(|(_, value)| !value.is_null());
        set.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Arguments as they were written.
struct Given<'a>(&'a Map<String, Value>);

impl Given<'_> {
    fn text(&self, key: &str) -> Option<String> {
        match self.0.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()).filter(|text| text != "None"),
            Some(other) => Some(other.to_string()),
        }
    }

    /// Whether a key asks for something.
    fn is_set(&self, key: &str) -> bool {
        let text = self.text(key);
        text.is_some_and(|text| !matches!(text.as_str(), "False" | "false"))
    }

    fn allow(&self, key: &str, values: &[&str]) -> Result<(), Refused> {
        match self.text(key) {
            Some(text) if !values.contains(&text.as_str()) => {
                let what = match key {
                    "backend" => "models here continue texts (causal)",
                    _ => "weights are computed in float32",
                };
                Err(Refused(format!("{OPTION} {key}={text}: {what}")))
            }
            _ => Ok(()),
        }
    }

    fn parsed<T>(
        &self,
        key: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let wrong = || Refused(format!("{OPTION} {key}={text}: wanted is {wanted}"));
        parse(&text).map(Some).ok_or_else(wrong)
    }

    fn source(&self) -> Result<ModelSource, Refused> {
        let name = self
            .text("pretrained")
            .ok_or_else(|| Refused(format!("--model hf needs {OPTION} pretrained=DIR")))?;
        let mut path = PathBuf::from(name);
        let inside = ["subfolder", "gguf_file"];
        for (key, part) in inside.map(|key| (key, self.text(key))) {
            let Some(part) = part.filter(|part| !part.is_empty()) else {
                continue;
            };
            if !path.is_dir() {
                let problem = format!(
                    "{OPTION} {key}={part} goes with a directory, and {} is none",
                    path.display()
                );
                return Err(Refused(problem));
            }
            path.push(part);
        }
        // lm-eval's own default, which says nothing.
        let revision = self.text("revision").filter(|name| name != "main");
        Ok(ModelSource::new(&path).at_revision(revision))
    }

    fn template_variables(&self) -> Result<Map<String, Value>, Refused> {
        let map = |text: &str| match python_literal(text) {
            Some(Value::Object(map)) => Some(map),
            _ => serde_json::from_str(text).ok(),
        };
        let given_map = self.parsed("chat_template_args", "a map in JSON", map)?;
        let mut variables = given_map.unwrap_or_default();
        let thinking = "enable_thinking";
        let given = self.parsed(thinking, "True or False", |text| truth(text).ok())?;
        if let Some(given) = given {
            variables.insert(thinking.to_owned(), given.into());
        }
        Ok(variables)
    }
}
