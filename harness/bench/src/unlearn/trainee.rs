//! The model in training: its decoder, the variables that steps change, and its frozen original by the cheapest means. It refuses
//! a choice of weights that chooses none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use fancy_regex::Regex;
use harness_model::{
    Decoder, DecoderSpec, FrozenPrecision, Lora, Model, PassFlops, Weights, write_model_files,
};

use super::options::{TrainedParameters, TrainingOptions};
use crate::error::{BenchError, Result, io};

/// Where an adapter lies beside the model that it was merged into.
const ADAPTER: &str = "adapter";
/// Makes an adapter's beginning and its dropout independent of the order of documents.
const BEGINNING_STREAM: u64 = 0x4c6f_5241;
const DROPOUT_STREAM: u64 = 0x4472_6f70;

/// A model that learns or unlearns.
pub(super) struct Trainee {
    source: PathBuf,
    decoder: Decoder,
    original: Option<Decoder>,
    variables: BTreeMap<String, Var>,
    learned: Learned,
}

/// What the variables are part of.
enum Learned {
    Weights(Weights),
    Adapter { lora: Lora, base: Weights },
}

/// Opens a model so that `parameters` of it can be trained.
pub(super) fn open(
    source: &Path,
    parameters: &TrainedParameters,
    device: &Device,
) -> Result<Model> {
    let quantized = matches!(
        parameters,
        TrainedParameters::Adapter {
            quantized: true,
            ..
        }
    );
    if !quantized {
        return Ok(Model::open(source, device)?);
    }
    if source.is_file() {
        return Ok(Model::open_quantized(source, device)?);
    }
    let mut model = Model::open(source, device)?;
    model.weights = model
        .weights
        .compressed(&model.spec, FrozenPrecision::Int8)?;
    Ok(model)
}

impl Trainee {
    /// Prepares `model` for training, and the frozen original beside it if it is wanted: a second copy of the weights that are
    /// trained, or with an adapter none.
    ///
    /// # Errors
    /// When the choice of weights or the adapter does not fit the model.
    pub(super) fn new(
        model: Model,
        options: &TrainingOptions,
        wants_original: bool,
    ) -> Result<Self> {
        let original = wants_original.then(|| model.decoder()).transpose()?;
        let (spec, seed) = (model.spec, options.seed);
        let (learned, variables) = match &options.parameters {
            TrainedParameters::All => {
                let (weights, variables) = model.weights.into_trainable()?;
                (Learned::Weights(weights), variables)
            }
            TrainedParameters::Matching(pattern) => {
                let names: Vec<&str> = model.weights.iter().map(|(name, _)| name).collect();
                let chosen = matching(pattern, &names)?;
                let (weights, variables) = model
                    .weights
                    .into_trainable_where(|name| chosen.contains(name))?;
                (Learned::Weights(weights), variables)
            }
            TrainedParameters::Adapter { lora, .. } => {
                let device = device_of(&model.weights)?;
                let fresh = Lora::new(&spec, lora.clone(), seed ^ BEGINNING_STREAM, &device)?;
                let (lora, variables) = fresh.trainable(seed ^ DROPOUT_STREAM)?;
                let base = model.weights;
                (Learned::Adapter { lora, base }, variables)
            }
        };
        let decoder = learned.decoder(spec)?;
        Ok(Self {
            source: model.source,
            decoder: if options.activation_checkpoints {
                decoder.with_activation_checkpoints()?
            } else {
                decoder
            },
            original,
            variables,
            learned,
        })
    }

    /// The model as it is now, differentiable in the variables; with an adapter's dropout at work.
    pub(super) fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The model as it was, if it is kept.
    pub(super) fn original(&self) -> Option<&Decoder> {
        self.original.as_ref()
    }

    /// A frozen model of its own that has `values` in the place of what steps change; weights that are not trained are shared.
    ///
    /// # Errors
    /// When a variable has no value, or one of another shape.
    pub(super) fn frozen(&self, values: &BTreeMap<String, Tensor>) -> Result<Decoder> {
        let weights = match &self.learned {
            Learned::Weights(weights) => weights.with_values(values)?,
            Learned::Adapter { lora, base } => base.with_adapters(&lora.with_values(values)?)?,
        };
        Ok(Decoder::new(self.decoder.spec().clone(), &weights)?)
    }

    /// What steps change: weights by their names, or an adapter's matrices as `<projection>.lora_A.weight` and
    /// `….lora_B.weight`.
    pub(super) fn variables(&self) -> &BTreeMap<String, Var> {
        &self.variables
    }

    /// What passes through the model in training, and through the original, cost.
    pub(super) fn costs(&self) -> [PassFlops; 2] {
        let spec = self.decoder.spec();
        let elements = self.variables.iter();
        let elements = elements.map(|(name, own)| (name.clone(), own.elem_count()));
        [
            PassFlops::new(
                spec,
                &elements.collect(),
                self.decoder.checkpoints_activations(),
            ),
            PassFlops::frozen(spec),
        ]
    }

    /// What is random in the passes through a batch follows from the seed and the batch's number, counted from 0, alone.
    pub(super) fn begin_batch(&self, batch: usize) {
        if let Learned::Adapter { lora, .. } = &self.learned {
            lora.begin_batch(batch as u64);
        }
    }

    /// Writes the model as it is now into an existing directory, with the small files of the original. An adapter is merged into
    /// the original's full weights, and lies in `adapter` as well, as PEFT reads it.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let (lora, base) = match &self.learned {
            Learned::Weights(weights) => {
                return Ok(write_model_files(directory, &self.source, weights)?);
            }
            Learned::Adapter { lora, base } => (lora, base),
        };
        let adapter = directory.join(ADAPTER);
        std::fs::create_dir_all(&adapter).map_err(io(&adapter))?;
        lora.write(&adapter)?;
        let merged = if base.is_compressed() {
            let full = Model::open(&self.source, self.decoder.device())?;
            lora.merge(&full.weights)?
        } else {
            lora.merge(base)?
        };
        Ok(write_model_files(directory, &self.source, &merged)?)
    }
}

impl Learned {
    fn decoder(&self, spec: DecoderSpec) -> Result<Decoder> {
        Ok(match self {
            Self::Weights(weights) => Decoder::new(spec, weights)?,
            Self::Adapter { lora, base } => Decoder::new(spec, &base.with_adapters(lora)?)?,
        })
    }
}

/// Where the weights are.
fn device_of(weights: &Weights) -> Result<Device> {
    let first = weights.iter().next();
    let (_, tensor) =
        first.ok_or_else(|| BenchError::Request("the model has no weights".to_owned()))?;
    Ok(tensor.device().clone())
}

/// The names that `pattern` matches as a whole.
///
/// # Errors
/// When the pattern is no regular expression or matches no name: says which names there are.
pub(super) fn matching(pattern: &str, names: &[&str]) -> Result<BTreeSet<String>> {
    let refused = |problem: String| BenchError::Request(format!("weights `{pattern}`: {problem}"));
    let whole = Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| refused(format!("no regular expression: {error}")))?;
    let mut chosen = BTreeSet::new();
    for name in names {
        let matches = whole.is_match(name);
        if matches.map_err(|error| refused(format!("{name}: {error}")))? {
            chosen.insert((*name).to_owned());
        }
    }
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let near = harness_spelling::hint(&pattern.replace('\\', ""), names.iter().copied());
    let kinds: BTreeSet<String> = names.iter().map(|name| without_numbers(name)).collect();
    let kinds: Vec<String> = kinds.into_iter().collect();
    let problem = format!(
        "no name matches it as a whole{near}; there are {}",
        kinds.join(", ")
    );
    Err(refused(problem))
}

/// `model.layers.3.mlp.up_proj.weight` → `model.layers.N.mlp.up_proj.weight`.
fn without_numbers(name: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.split('.');
    let parts: Vec<&str> = parts
        .map(|part| if is_number(part) { "N" } else { part })
        .collect();
    parts.join(".")
}
