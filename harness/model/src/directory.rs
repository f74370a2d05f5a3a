//! Models on disk: opening a directory in Hugging Face layout or a GGUF file, and writing a changed model as a directory,
//! atomically. Fetches nothing.

use std::path::{Path, PathBuf};

use candle_core::Device;

use crate::decoder::Decoder;
use crate::error::{ModelError, Result, bad_file, io};
use crate::families::read_spec;
use crate::gguf::{GgufFile, Storage};
use crate::spec::DecoderSpec;
use crate::stored::StoredWeights;
use crate::tokenizer::{TEMPLATE_FOLDER, Tokenizer};
use crate::weights::Weights;

/// A model that was read from disk.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where it came from: a directory, or a GGUF file.
    pub source: PathBuf,
    /// What config.json says.
    pub spec: DecoderSpec,
    /// Its weights, f32.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
}

/// What is known of a model before its weights are read.
#[derive(Clone, Debug)]
pub struct ModelDescription {
    /// What the decoder has to do.
    pub spec: DecoderSpec,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What lies on disk.
    pub stored: StoredWeights,
    /// Bytes of the weights in memory, with the largest matrix widened, where [`Model::open_quantized`] opens the model.
    pub quantized_bytes: Option<usize>,
}

impl Model {
    /// Looks at everything but the weights themselves: cheap, and finds most of what can be wrong.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn describe(source: &Path) -> Result<ModelDescription> {
        if source.is_file() {
            let file = GgufFile::open(source)?;
            let spec = file.spec()?;
            return Ok(ModelDescription {
                tokenizer: file.tokenizer()?,
                stored: StoredWeights::of_gguf(source, &file)?,
                quantized_bytes: Some(file.kept_bytes(&spec)?),
                spec,
            });
        }
        require_directory(source)?;
        Ok(ModelDescription {
            spec: read_spec(source)?,
            stored: StoredWeights::of_directory(source)?,
            tokenizer: Tokenizer::read(source)?,
            quantized_bytes: None,
        })
    }

    /// [`Self::describe`] for its errors alone.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(source: &Path) -> Result<()> {
        Self::describe(source).map(drop)
    }

    /// Reads config, weights and tokenizer of a directory or a GGUF file.
    ///
    /// # Errors
    /// When the source or a file in it is missing, damaged or unsupported.
    pub fn open(source: &Path, device: &Device) -> Result<Self> {
        if source.is_file() {
            return Self::open_gguf(source, Storage::Dequantized, device);
        }
        require_directory(source)?;
        let (spec, tokenizer) = (read_spec(source)?, Tokenizer::read(source)?);
        let weights = Weights::read(source, &spec, device)?;
        Ok(Self {
            source: source.to_owned(),
            spec,
            weights,
            tokenizer,
        })
    }

    /// Reads a GGUF file whose matrices inside the layers stay in their quantized blocks and are widened to f32 only while in
    /// use: the same answers from less memory, without training.
    ///
    /// # Errors
    /// As [`Self::open`], and when the source is a directory.
    pub fn open_quantized(source: &Path, device: &Device) -> Result<Self> {
        if source.is_file() {
            return Self::open_gguf(source, Storage::Kept, device);
        }
        require_directory(source)?;
        let problem =
            "a model directory has no quantized blocks that could be kept; name a GGUF file";
        Err(bad_file(source, problem))
    }

    fn open_gguf(source: &Path, storage: Storage, device: &Device) -> Result<Self> {
        let mut file = GgufFile::open(source)?;
        let (spec, tokenizer) = (file.spec()?, file.tokenizer()?);
        let weights = file.weights(&spec, storage, device)?;
        Ok(Self {
            source: source.to_owned(),
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

/// Writes a model into an existing directory: the configuration and tokenizer files of `like` (a model directory, or a GGUF
/// file that they are derived from), and `weights` as one f32 file.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write_model_files(directory: &Path, like: &Path, weights: &Weights) -> Result<()> {
    if like.is_file() {
        write_small_files(&GgufFile::open(like)?, directory)?;
    } else {
        copy_small_files(like, directory)?;
        let templates = like.join(TEMPLATE_FOLDER);
        if templates.is_dir() {
            let own = directory.join(TEMPLATE_FOLDER);
            std::fs::create_dir_all(&own).map_err(io(&own))?;
            copy_small_files(&templates, &own)?;
        }
    }
    set_dtype(&directory.join("config.json"))?;
    weights.write(&directory.join("model.safetensors"))
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

fn write_small_files(from: &GgufFile, to: &Path) -> Result<()> {
    for (name, text) in from.small_files()? {
        let target = to.join(name);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        std::fs::write(&target, text).map_err(io(&target))?;
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

fn require_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    Err(ModelError::NoDirectory {
        path: path.to_owned(),
        hint: harness_spelling::nearest_path(path),
    })
}
