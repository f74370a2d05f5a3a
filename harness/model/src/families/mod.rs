//! From config.json to a [`DecoderSpec`](crate::DecoderSpec): one file a family. A family or setting that the decoder does
//! not compute exactly is refused by name, never ignored.

mod base;
mod config_file;
mod falcon;
mod gemma;
mod gpt2;
mod gpt_neox;
mod llama;
mod mistral;
mod olmo2;
mod opt;
mod phi;
mod phi3;
mod qwen;
mod rope;
mod stablelm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) use config_file::ConfigFile;

use crate::error::{ModelError, Result, bad_file};
use crate::spec::DecoderSpec;
use crate::stored::safetensors_header;
use crate::weights::weight_files;

type ReadSpec = fn(&ConfigFile) -> Result<DecoderSpec>;

/// Supported values of `model_type`.
const FAMILIES: [(&str, ReadSpec); 14] = [
    ("falcon", falcon::spec),
    ("gemma2", gemma::gemma2),
    ("gemma3_text", gemma::gemma3),
    ("gpt2", gpt2::spec),
    ("gpt_neox", gpt_neox::spec),
    ("llama", llama::spec),
    ("mistral", mistral::spec),
    ("olmo2", olmo2::spec),
    ("opt", opt::spec),
    ("phi", phi::spec),
    ("phi3", phi3::spec),
    ("qwen2", qwen::qwen2),
    ("qwen3", qwen::qwen3),
    ("stablelm", stablelm::spec),
];

/// Reads `config.json` of a model directory. If there are weights, they decide whether names carry the prefix that
/// transformers treats as optional, such as `transformer.` in GPT-2.
///
/// # Errors
/// When the file is missing or malformed, or the family or one of its settings is not supported.
pub fn read_spec(directory: &Path) -> Result<DecoderSpec> {
    let mut spec = describe(&ConfigFile::read(&directory.join("config.json"))?)?;
    // Without weights, as for a model to be trained from scratch, there is nothing to agree with.
    if let Ok(files) = weight_files(directory) {
        let names = stored_names(&files)?;
        drop_absent_prefix(&mut spec, &names);
        refuse_uncalled_weights(&spec, &names)?;
    }
    Ok(spec)
}

/// The same for a config.json that was put together from another file, which errors name.
pub(crate) fn spec_of(path: &Path, config: &Value) -> Result<DecoderSpec> {
    describe(&ConfigFile::from_value(path, config)?)
}

fn describe(config: &ConfigFile) -> Result<DecoderSpec> {
    let family = config.text("model_type")?;
    let Some((_, spec)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
        let supported: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
        return Err(ModelError::Unsupported {
            path: config.path().to_owned(),
            setting: format!("model_type \"{family}\""),
            detail: format!(" (supported: {})", supported.join(", ")),
        });
    };
    let spec = spec(config)?;
    if spec.layers.len() <= MOST_LAYERS {
        return Ok(spec);
    }
    let setting = format!("a model of {} layers", spec.layers.len());
    Err(ModelError::Unsupported {
        path: config.path().to_owned(),
        setting,
        detail: format!(" (at most {MOST_LAYERS} are)"),
    })
}

/// More than any model has; what a damaged file asks for must not fill the memory.
const MOST_LAYERS: usize = 10_000;

/// The file of every stored weight.
fn stored_names(files: &[PathBuf]) -> Result<BTreeMap<String, &Path>> {
    let mut names = BTreeMap::new();
    for file in files {
        let header = safetensors_header(file)?;
        names.extend(header.into_iter().map(|(name, _)| (name, file.as_path())));
    }
    Ok(names)
}

/// Takes the first part off the prefix if only that makes the embedding's name one that is stored.
fn drop_absent_prefix(spec: &mut DecoderSpec, names: &BTreeMap<String, &Path>) {
    let mut bare = spec.clone();
    if let Some((first, rest)) = spec.names.prefix.split_once('.') {
        rest.clone_into(&mut bare.names.prefix);
        bare.names.left_out = format!("{first}.");
    }
    let has = |spec: &DecoderSpec| names.contains_key(&spec.embedding_shape().0);
    if !has(spec) && has(&bare) {
        *spec = bare;
    }
}

/// Constants that older versions of transformers stored beside the weights: causal masks and rotary frequencies.
const STORED_CONSTANTS: [&str; 5] = [
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    ".rotary_emb.inv_freq",
];

/// Refuses weights of layers that the description has no use for: leaving out a bias, a norm or a whole layer that the
/// model was trained with would change every answer.
fn refuse_uncalled_weights(spec: &DecoderSpec, names: &BTreeMap<String, &Path>) -> Result<()> {
    let called = spec.weight_shapes();
    let layers = format!("{}{}.", spec.names.prefix, spec.names.layers);
    let is_uncalled = |name: &str| {
        let is_constant = STORED_CONSTANTS.iter().any(|end| name.ends_with(end));
        name.starts_with(&layers) && !is_constant && !called.contains_key(name)
    };
    match names.iter().find(|(name, _)| is_uncalled(name)) {
        Some((name, file)) => {
            let problem = format!("{name} is stored, but config.json calls for no such weight");
            Err(bad_file(file, problem))
        }
        None => Ok(()),
    }
}
