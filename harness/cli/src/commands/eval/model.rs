//! The options that name a model, and opening it. Refuses arguments of `--model hf` that would change a score and are not
//! computed here.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use harness_model::{DeviceName, Lora, Model};
use harness_report::ModelFacts;
use serde_json::{Map, Value};

use super::pairs::{refuse_unknown, texts};
use crate::exit::Refused;
use crate::model_source::ModelSource;
use crate::options::device;
use crate::progress::Terminal;

/// Keys of `--model-args` that have an effect, then those that lm-eval users pass and that change no score.
const KEYS: [&str; 15] = [
    "pretrained",
    "revision",
    "dtype",
    "peft",
    "trust_remote_code",
    "parallelize",
    "low_cpu_mem_usage",
    "use_fast_tokenizer",
    "attn_implementation",
    "device_map",
    "device",
    "batch_size",
    "max_batch_size",
    "backend",
    "cache_dir",
];

#[derive(Args)]
pub(super) struct ModelOptions {
    /// Model directory in Hugging Face layout, GGUF file or hub id; or "hf" with --model-args pretrained=…, as lm-eval has it
    #[arg(long, short = 'M', value_name = "DIR|GGUF|ORG/NAME")]
    model: PathBuf,
    /// key=value pairs or JSON for --model hf: pretrained, revision, dtype (float32 or auto), peft
    #[arg(long, short = 'a', value_name = "ARGS", num_args = 1..)]
    model_args: Vec<String>,
    /// `LoRA` adapter in PEFT's format to put on the model
    #[arg(long, value_name = "DIR")]
    peft: Option<PathBuf>,
    /// Keep the matrices of a GGUF file in their quantized blocks: less memory, more time, the same scores
    #[arg(long)]
    keep_quantized: bool,
    /// Where to compute
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu")]
    device: String,
}

/// A model that was asked for.
pub(super) struct WantedModel {
    source: ModelSource,
    adapter: Option<PathBuf>,
    keep_quantized: bool,
    device: DeviceName,
}

impl ModelOptions {
    /// What was asked for, so far as it can be judged without opening it.
    pub(super) fn wanted(&self) -> Result<WantedModel> {
        let arguments = texts("--model-args", &self.model_args)?;
        let (source, adapter) = if self.model.as_os_str() == "hf" {
            from_arguments(&arguments)?
        } else if arguments.is_empty() {
            (ModelSource::new(&self.model), None)
        } else {
            return Err(Refused("--model-args goes with --model hf".into()).into());
        };
        if self.keep_quantized && !source.name().is_file() {
            let name = source.name().display();
            let problem = format!("--keep-quantized goes with a GGUF file, and {name} is none");
            return Err(Refused(problem).into());
        }
        Ok(WantedModel {
            source,
            adapter: self.peft.clone().or(adapter),
            keep_quantized: self.keep_quantized,
            device: device(&self.device)?,
        })
    }
}

impl WantedModel {
    /// Downloads it if need be, and reads it.
    pub(super) fn open(&self, terminal: &mut Terminal) -> Result<Model> {
        let open = if self.keep_quantized {
            Model::open_quantized
        } else {
            Model::open
        };
        let device = self.device.open()?;
        let mut model = open(&self.source.locate(terminal)?, &device)?;
        if let Some(adapter) = &self.adapter {
            let lora = Lora::read(adapter, &model.spec, &device)?;
            model.weights = model.weights.with_adapters(&lora)?;
        }
        Ok(model)
    }

    /// All that its answers depend on.
    pub(super) fn sources<'a>(&'a self, model: &'a Model) -> Vec<&'a Path> {
        let adapter = self.adapter.as_deref();
        std::iter::once(model.source.as_path())
            .chain(adapter)
            .collect()
    }

    /// What the results say of it.
    pub(super) fn facts(&self, model: &Model) -> ModelFacts {
        let special = |id: Option<u32>| id.and_then(|id| Some((model.tokenizer.token(id)?, id)));
        ModelFacts {
            directory: self.source.name().to_owned(),
            revision: self.source.revision().map(str::to_owned),
            adapter: self.adapter.clone(),
            device: self.device.to_string(),
            parameters: model.spec.parameters(),
            max_length: model.spec.max_positions,
            bos: special(model.tokenizer.bos()),
            eos: special(model.tokenizer.eos()),
        }
    }
}

/// Source and adapter out of the arguments of `--model hf`.
fn from_arguments(given: &Map<String, Value>) -> Result<(ModelSource, Option<PathBuf>)> {
    refuse_unknown("--model-args", given, &KEYS)?;
    let text = |key: &str| match given.get(key) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()).filter(|text| text != "None"),
        Some(other) => Some(other.to_string()),
    };
    match text("dtype").as_deref() {
        None | Some("float32" | "float" | "torch.float32" | "auto") => {}
        Some(other) => {
            let problem = format!("--model-args dtype={other}: weights are computed in float32");
            return Err(Refused(problem).into());
        }
    }
    let name = text("pretrained")
        .ok_or_else(|| Refused("--model hf needs --model-args pretrained=DIR".to_owned()))?;
    let source = ModelSource::new(name.as_ref()).at_revision(text("revision"));
    Ok((source, text("peft").map(PathBuf::from)))
}
