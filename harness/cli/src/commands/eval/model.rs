//! The options that name a model, and opening it. Refuses combinations that have no meaning.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use harness_engine::{ModelIdentity, model_identity};
use harness_model::{DeviceName, Lora, Model};
use harness_report::ModelFacts;
use serde_json::json;

use super::model_args::{self, ModelArguments};
use super::pairs::texts;
use crate::exit::Refused;
use crate::model_source::{ModelSource, checkpoints};
use crate::options::device;
use crate::progress::Terminal;

#[derive(Args)]
pub(super) struct ModelOptions {
    /// Model directory in Hugging Face layout, GGUF file or hub id; or "hf" with --model-args pretrained=…, as lm-eval has it.
    /// Several, or a folder of model directories: one after the other, with a table of all at the end
    #[arg(long, short = 'M', value_name = "DIR|GGUF|ORG/NAME", required = true, num_args = 1..)]
    model: Vec<PathBuf>,
    /// key=value pairs or JSON for --model hf: pretrained, revision, subfolder, `gguf_file`, tokenizer, peft, dtype (float32 or
    /// auto), `max_length`, `add_bos_token`, `prefix_token_id`, `enable_thinking`, `chat_template_args`
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
    arguments: ModelArguments,
    adapter: Option<PathBuf>,
    keep_quantized: bool,
    device: DeviceName,
}

impl ModelOptions {
    /// What was asked for, so far as it can be judged without opening it.
    pub(super) fn wanted(&self) -> Result<Vec<WantedModel>> {
        if let [name] = self.model.as_slice()
            && is_back_end(name)
        {
            let arguments = model_args::read(&texts("--model-args", &self.model_args)?)?;
            return Ok(vec![self.one(name, arguments)?]);
        }
        let mut names: Vec<PathBuf> = Vec::new();
        for name in &self.model {
            let found = checkpoints(name)?;
            // A folder without models is left to whoever opens it.
            let found = if found.is_empty() {
                vec![name.clone()]
            } else {
                found
            };
            names.extend(found);
        }
        if !self.model_args.is_empty() {
            return Err(Refused("--model-args goes with --model hf".into()).into());
        }
        if let (Some(_), [_, _, ..]) = (&self.peft, names.as_slice()) {
            let problem = "--peft goes with one model: name the models with their adapters merged, or score one at a time";
            return Err(Refused(problem.into()).into());
        }
        if let Some(twice) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
            let problem = format!("--model names {} twice", names[twice].display());
            return Err(Refused(problem).into());
        }
        let wanted = names
            .iter()
            .map(|name| self.one(name, ModelArguments::default()));
        wanted.collect()
    }

    fn one(&self, name: &Path, mut arguments: ModelArguments) -> Result<WantedModel> {
        let source = arguments.source.take();
        let source = source.unwrap_or_else(|| ModelSource::new(name));
        let adapter = arguments.adapter.take();
        if self.keep_quantized && !source.name().is_file() {
            let name = source.name().display();
            let problem = format!("--keep-quantized goes with a GGUF file, and {name} is none");
            return Err(Refused(problem).into());
        }
        Ok(WantedModel {
            source,
            arguments,
            adapter: self.peft.clone().or(adapter),
            keep_quantized: self.keep_quantized,
            device: device(&self.device)?,
        })
    }
}

/// Whether the name is lm-eval's for its models of transformers, and the model is among the arguments.
fn is_back_end(name: &Path) -> bool {
    let text = name.to_str().unwrap_or_default();
    text == "hf" || matches!(text, "hf-auto" | "huggingface") && !name.exists()
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
        self.arguments.apply(&mut model)?;
        Ok(model)
    }

    /// The arguments of `--model hf`.
    pub(super) fn arguments(&self) -> &ModelArguments {
        &self.arguments
    }

    /// As the user wrote it.
    pub(super) fn name(&self) -> String {
        self.source.name().display().to_string()
    }

    /// Where it is, after everything but its weights was looked at; downloads it if need be.
    pub(super) fn check(&self, terminal: &mut Terminal) -> Result<PathBuf> {
        let place = self.source.locate(terminal)?;
        Model::check(&place)?;
        Ok(place)
    }

    /// All that the answers of the model at `place` depend on.
    pub(super) fn identity(&self, place: &Path) -> Result<ModelIdentity> {
        let further = [self.adapter.as_deref(), self.arguments.tokenizer()];
        let sources: Vec<&Path> = std::iter::once(place)
            .chain(further.into_iter().flatten())
            .collect();
        let settings = format!("{} {}", self.device, json!(self.arguments.of_tokens()));
        Ok(model_identity(&sources, &settings)?)
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
            max_length: self.arguments.max_length(model),
            of_tokens: self.arguments.of_tokens(),
            bos: special(model.tokenizer.bos()),
            eos: special(model.tokenizer.eos()),
        }
    }
}
