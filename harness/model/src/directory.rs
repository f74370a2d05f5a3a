//! Model directories in Hugging Face layout: opening one, and writing a changed model beside it atomically.

use std::path::{Path, PathBuf};

use candle_core::Device;

use crate::decoder::Decoder;
use crate::error::{ModelError, Result, bad_file, io};
use crate::families::read_spec;
use crate::spec::DecoderSpec;
use crate::tokenizer::Tokenizer;
use crate::weights::{Weights, weight_files};

/// A model that was read from a directory.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where it came from.
    pub directory: PathBuf,
    /// What config.json says.
    pub spec: DecoderSpec,
    /// Its weights, f32.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
}

impl Model {
    /// Looks at everything but the contents of the weight files: cheap, and finds most of what can be wrong.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(directory: &Path) -> Result<()> {
        if !directory.is_dir() {
            return Err(ModelError::NoDirectory {
                path: directory.to_owned(),
                hint: nearest_sibling(directory),
            });
        }
        read_spec(directory)?;
        weight_files(directory)?;
        Tokenizer::read(directory)?;
        Ok(())
    }

    /// Reads config, weights and tokenizer.
    ///
    /// # Errors
    /// When the directory or a file in it is missing, damaged or unsupported.
    pub fn open(directory: &Path, device: &Device) -> Result<Self> {
        if !directory.is_dir() {
            return Err(ModelError::NoDirectory {
                path: directory.to_owned(),
                hint: nearest_sibling(directory),
            });
        }
        let spec = read_spec(directory)?;
        let tokenizer = Tokenizer::read(directory)?;
        let weights = Weights::read(directory, &spec, device)?;
        Ok(Self {
            directory: directory.to_owned(),
            spec,
            weights,
            tokenizer,
        })
    }

    /// A decoder over these weights, without gradients.
    ///
    /// # Errors
    /// When a weight is missing.
    pub fn decoder(&self) -> Result<Decoder> {
        Decoder::new(self.spec.clone(), &self.weights)
    }
}

/// Where a model directory is put together before it appears under its name: beside it, with `.partial` appended.
pub fn staging_path(directory: &Path) -> PathBuf {
    let mut staging = directory.as_os_str().to_owned();
    staging.push(".partial");
    PathBuf::from(staging)
}

/// Gives a staged directory its final name, so that a model directory is there whole or not at all.
///
/// # Errors
/// When `directory` is occupied or cannot be replaced.
pub fn publish_directory(staging: &Path, directory: &Path) -> Result<()> {
    refuse_occupied(directory)?;
    if directory.exists() {
        std::fs::remove_dir(directory).map_err(io(directory))?;
    }
    std::fs::rename(staging, directory).map_err(io(directory))
}

/// Writes a model into an existing directory: the configuration and tokenizer files of `like`, and `weights` as one f32
/// file.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write_model_files(directory: &Path, like: &Path, weights: &Weights) -> Result<()> {
    copy_small_files(like, directory)?;
    set_dtype(&directory.join("config.json"))?;
    weights.write(&directory.join("model.safetensors"))
}

/// Refuses a directory that holds something already.
///
/// # Errors
/// When it exists and is not an empty directory.
pub fn refuse_occupied(directory: &Path) -> Result<()> {
    match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(directory)(error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(bad_file(
                directory,
                "the output directory is not empty; name another or remove it",
            )),
        },
    }
}

/// Copies what describes the model and its tokenizer: JSON, templates and vocabularies, not the index of weight shards.
fn copy_small_files(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).map_err(io(from))? {
        let path = entry.map_err(io(from))?.path();
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        let describes = matches!(extension, "json" | "jinja" | "txt" | "model");
        if let (true, true, Some(name)) = (path.is_file(), describes, path.file_name()) {
            if name.to_string_lossy().ends_with(".safetensors.index.json") {
                continue;
            }
            let target = to.join(name);
            // Not a copy of the file: that would also copy a read-only flag.
            let bytes = std::fs::read(&path).map_err(io(&path))?;
            std::fs::write(&target, bytes).map_err(io(&target))?;
        }
    }
    Ok(())
}

/// The weights are written as f32, so that is what config.json must say, in whichever style it says it.
fn set_dtype(config: &Path) -> Result<()> {
    let text = std::fs::read_to_string(config).map_err(io(config))?;
    let mut parsed: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| bad_file(config, error))?;
    let key = if parsed.get("dtype").is_some() {
        "dtype"
    } else {
        "torch_dtype"
    };
    parsed[key] = "float32".into();
    let text = serde_json::to_string_pretty(&parsed).map_err(|error| bad_file(config, error))?;
    std::fs::write(config, text + "\n").map_err(io(config))
}

fn nearest_sibling(path: &Path) -> Option<PathBuf> {
    let (parent, name) = (
        path.parent()?,
        path.file_name()?.to_string_lossy().into_owned(),
    );
    let listed = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let siblings: Vec<String> = std::fs::read_dir(listed)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let near = harness_spelling::nearest(&name, siblings.iter().map(String::as_str))?;
    Some(parent.join(near))
}
