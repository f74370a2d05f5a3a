//! A model's weights by their Hugging Face names: read from safetensors (memory-mapped), made at random, written back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor, Var};
use harness_metric::PythonRandom;

use crate::error::{ModelError, Result, bad_file, first_line, io};
use crate::lora::{Adapter, Lora};
use crate::safetensors_file::{StoredTensor, check_header, write_safetensors};
use crate::spec::DecoderSpec;

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// All weights of a model, f32, either constants or trainable variables, and the adapters attached to them. Frozen
/// matrices may be compressed.
#[derive(Clone, Debug)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    /// By projection, taking the place of the weights of these names.
    compressed: BTreeMap<String, Arc<QTensor>>,
    adapters: BTreeMap<String, Adapter>,
}

impl Weights {
    /// f32 weights by their Hugging Face names, without adapters.
    pub(crate) fn new(tensors: BTreeMap<String, Tensor>) -> Self {
        Self {
            tensors,
            compressed: BTreeMap::new(),
            adapters: BTreeMap::new(),
        }
    }

    /// Reads the weights that `spec` calls for, converting to f32.
    ///
    /// # Errors
    /// When a file is missing or damaged, or a weight is absent, has another shape or a dtype other than f32, f16, bf16.
    pub fn read(directory: &Path, spec: &DecoderSpec, device: &Device) -> Result<Self> {
        let files = weight_files(directory)?;
        for file in &files {
            check_header(file)?;
        }
        // SAFETY: the files are mapped read-only and converted to owned tensors before this function returns; as with any
        // memory-mapped file, whoever truncates them in that moment ends the process.
        #[allow(unsafe_code, reason = "memory-mapped files")]
        let mapped = unsafe { MmapedSafetensors::multi(&files) };
        let mapped = mapped.map_err(|error| {
            let problem = format!(
                "damaged or cut short ({}); download it again",
                first_line(&error)
            );
            bad_file(&files[0], problem)
        })?;
        let mut tensors = BTreeMap::new();
        for (name, shape) in spec.weight_shapes() {
            let view = mapped
                .get(&name)
                .map_err(|_| bad_file(&files[0], format!("the weight {name} is missing")))?;
            if view.shape() != shape {
                let problem = format!(
                    "{name} has shape {:?}, config.json asks for {shape:?}",
                    view.shape()
                );
                return Err(bad_file(&files[0], problem));
            }
            let tensor = mapped.load(&name, device)?;
            if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16) {
                let problem = format!(
                    "{name} has dtype {:?}; f32, f16 and bf16 are supported",
                    tensor.dtype()
                );
                return Err(bad_file(&files[0], problem));
            }
            tensors.insert(name, tensor.to_dtype(DType::F32)?);
        }
        Ok(Self::new(tensors))
    }

    /// Random weights: matrices from N(0, 0.02²), norms neutral, biases zero; the same for the same seed everywhere.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn random(spec: &DecoderSpec, seed: u64, device: &Device) -> Result<Self> {
        let mut random = PythonRandom::new(seed);
        let mut tensors = BTreeMap::new();
        for (name, shape) in spec.weight_shapes() {
            let count = shape.iter().product();
            let values: Vec<f32> = match shape.len() {
                2 => (0..count).map(|_| random.gauss(0.0, 0.02) as f32).collect(),
                _ if name.ends_with("bias") => vec![0.0; count],
                _ => vec![spec.norm.kind.neutral_weight(); count],
            };
            tensors.insert(name, Tensor::from_vec(values, shape, device)?);
        }
        Ok(Self::new(tensors))
    }

    /// A copy whose tensors are variables that gradients are computed for.
    ///
    /// # Errors
    /// When matrices are compressed, or the device has no room.
    pub fn trainable(&self) -> Result<(Self, BTreeMap<String, Var>)> {
        self.clone().into_trainable()
    }

    /// As [`Self::trainable`]; a tensor that nobody else holds is freed as soon as it is copied.
    ///
    /// # Errors
    /// As [`Self::trainable`].
    pub fn into_trainable(self) -> Result<(Self, BTreeMap<String, Var>)> {
        self.into_trainable_where(|_| true)
    }

    /// As [`Self::into_trainable`] for the weights whose names are `chosen`; the others stay constants, shared with whoever else
    /// holds them.
    ///
    /// # Errors
    /// As [`Self::trainable`].
    pub fn into_trainable_where(
        mut self,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<(Self, BTreeMap<String, Var>)> {
        self.refuse_compressed("train an adapter instead")?;
        let mut variables = BTreeMap::new();
        for (name, tensor) in self.tensors.iter_mut().filter(|(name, _)| chosen(name)) {
            // A variable's own tensor would be shared instead of copied.
            let variable = Var::from_tensor(&tensor.detach())?;
            *tensor = variable.as_tensor().clone();
            variables.insert(name.clone(), variable);
        }
        Ok((self, variables))
    }

    /// The same weights with other values for some, as constants.
    ///
    /// # Errors
    /// When a name or a shape is not the model's.
    pub fn with_values(&self, values: &BTreeMap<String, Tensor>) -> Result<Self> {
        let mut changed = self.constants();
        for (name, value) in values {
            let own = self.get(name)?;
            if own.shape() != value.shape() {
                let (have, want) = (value.shape(), own.shape());
                let problem = format!("values of shape {have:?} for {name} of {want:?}");
                return Err(ModelError::BadInput(problem));
            }
            changed.replace(name, value.detach());
        }
        Ok(changed)
    }

    /// The same tensors without gradients and without adapters. They share memory: variables go on changing.
    #[must_use]
    pub fn constants(&self) -> Self {
        let mut constants = self.without_adapters();
        for tensor in constants.tensors.values_mut() {
            *tensor = tensor.detach();
        }
        constants
    }

    /// The same tensors with an adapter at work beside them, in place of any other.
    ///
    /// # Errors
    /// When the adapter was made for another model.
    pub fn with_adapters(&self, lora: &Lora) -> Result<Self> {
        Ok(Self {
            adapters: lora.adapters_for(self)?,
            ..self.clone()
        })
    }

    /// The same tensors without adapters: the model as it was, at no cost in memory.
    #[must_use]
    pub fn without_adapters(&self) -> Self {
        Self {
            adapters: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// The compressed matrix [outputs, inputs] of a projection, if that is how it is kept.
    pub(crate) fn compressed_matrix(&self, projection: &str) -> Option<Arc<QTensor>> {
        self.compressed.get(projection).cloned()
    }

    /// Puts a compressed matrix in the place of a projection's weight.
    pub(crate) fn put_compressed(&mut self, projection: &str, matrix: Arc<QTensor>) {
        self.tensors.remove(&format!("{projection}.weight"));
        self.compressed.insert(projection.to_owned(), matrix);
    }

    /// Whether some matrices are compressed.
    pub fn is_compressed(&self) -> bool {
        !self.compressed.is_empty()
    }

    /// Refuses what needs every weight in full.
    pub(crate) fn refuse_compressed(&self, way_out: &str) -> Result<()> {
        match self.compressed.keys().next() {
            None => Ok(()),
            Some(name) => Err(ModelError::BadInput(format!(
                "{name} and others are compressed and cannot change; {way_out}"
            ))),
        }
    }

    /// The adapter of a projection.
    pub(crate) fn adapter(&self, projection: &str) -> Option<Adapter> {
        self.adapters.get(projection).cloned()
    }

    /// Puts another tensor in place of the weight of that name.
    pub(crate) fn replace(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.to_owned(), tensor);
    }

    /// The weight of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let found = self.tensors.get(name).cloned();
        found.ok_or_else(|| ModelError::BadInput(format!("the model has no weight {name}")))
    }

    /// All weights in the order of their names, without compressed ones.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Writes one f32 safetensors file.
    ///
    /// # Errors
    /// When adapters are attached, which would be lost, matrices are compressed, or the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        self.refuse_compressed("write the model that was compressed")?;
        if !self.adapters.is_empty() {
            let problem =
                "adapters are attached to these weights: merge them, or write the adapter alone";
            return Err(ModelError::BadInput(problem.to_owned()));
        }
        let tensors = self.iter();
        let stored = tensors.map(|(name, tensor)| (name, StoredTensor::Tensor(tensor)));
        write_safetensors(stored, file)
    }
}

/// The safetensors files of a directory: the single one, or the shards that the index names, sorted.
pub fn weight_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let (single, index) = (directory.join(SINGLE), directory.join(INDEX));
    if single.is_file() {
        return Ok(vec![single]);
    }
    if !index.is_file() {
        let way_out = "weights are read from model.safetensors or from shards with model.safetensors.index.json";
        return Err(ModelError::MissingFile {
            path: single,
            way_out,
        });
    }
    let text = std::fs::read_to_string(&index).map_err(io(&index))?;
    let parsed: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| bad_file(&index, error))?;
    let map = parsed.get("weight_map").and_then(|map| map.as_object());
    let map = map.ok_or_else(|| bad_file(&index, "weight_map is missing"))?;
    let names: std::collections::BTreeSet<&str> =
        map.values().filter_map(|file| file.as_str()).collect();
    let files: Vec<PathBuf> = names.into_iter().map(|name| directory.join(name)).collect();
    match files.iter().find(|file| !file.is_file()) {
        Some(missing) => Err(ModelError::MissingFile {
            path: missing.clone(),
            way_out: "model.safetensors.index.json names it; download the shard",
        }),
        None if files.is_empty() => Err(bad_file(&index, "weight_map is empty")),
        None => Ok(files),
    }
}
