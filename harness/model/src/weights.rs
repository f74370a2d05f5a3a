//! A model's weights by their Hugging Face names: read from safetensors (memory-mapped), made at random, written back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor, Var};
use harness_metric::PythonRandom;

use crate::error::{ModelError, Result, bad_file, first_line, io};
use crate::spec::DecoderSpec;

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// All weights of a model, f32, either constants or trainable variables.
#[derive(Clone, Debug)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
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
        Ok(Self { tensors })
    }

    /// Random weights: matrices from N(0, 0.02²), norms one, biases zero; the same for the same seed everywhere.
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
                _ => vec![if name.ends_with("bias") { 0.0 } else { 1.0 }; count],
            };
            tensors.insert(name, Tensor::from_vec(values, shape, device)?);
        }
        Ok(Self { tensors })
    }

    /// A copy whose tensors are variables that gradients are computed for.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn trainable(&self) -> Result<(Self, BTreeMap<String, Var>)> {
        let mut variables = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            variables.insert(name.clone(), Var::from_tensor(&tensor.copy()?)?);
        }
        let tensors = variables
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        Ok((Self { tensors }, variables))
    }

    /// The weight of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        let found = self.tensors.get(name).cloned();
        found.ok_or_else(|| ModelError::BadInput(format!("the model has no weight {name}")))
    }

    /// All weights in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Writes one f32 safetensors file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let bytes: Vec<(&String, Vec<u8>, &[usize])> = (self.tensors.iter())
            .map(|(name, tensor)| {
                let values = tensor.flatten_all()?.to_vec1::<f32>()?;
                Ok((
                    name,
                    values.iter().flat_map(|x| x.to_le_bytes()).collect(),
                    tensor.dims(),
                ))
            })
            .collect::<Result<_>>()?;
        let views = (bytes.iter())
            .map(|(name, bytes, shape)| {
                let view = safetensors::tensor::TensorView::new(
                    safetensors::Dtype::F32,
                    shape.to_vec(),
                    bytes,
                );
                Ok((name.as_str(), view.map_err(|error| bad_file(file, error))?))
            })
            .collect::<Result<Vec<_>>>()?;
        let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
        // The library makes its file unreadable to others; a model file gets the permissions of any new file.
        let permissions = std::fs::File::create(file)
            .and_then(|created| created.metadata())
            .map_err(io(file))?
            .permissions();
        safetensors::serialize_to_file(views, Some(metadata), file)
            .map_err(|error| bad_file(file, error))?;
        std::fs::set_permissions(file, permissions).map_err(io(file))
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

/// Says what is wrong with a damaged file in words a user can act on.
fn check_header(file: &Path) -> Result<()> {
    let actual = std::fs::metadata(file).map_err(io(file))?.len();
    let mut start = [0u8; 8];
    let mut opened = std::fs::File::open(file).map_err(io(file))?;
    let header =
        std::io::Read::read_exact(&mut opened, &mut start).map(|()| u64::from_le_bytes(start));
    match header {
        Ok(header) if header.saturating_add(8) <= actual => {}
        _ => {
            return Err(bad_file(
                file,
                format!("the file is damaged or cut short ({actual} bytes); download it again"),
            ));
        }
    }
    Ok(())
}
