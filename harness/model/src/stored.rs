//! What a model's weight files hold, without reading a weight.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Result, bad_file, io};
use crate::gguf::GgufFile;
use crate::safetensors_file::check_header;
use crate::weights::weight_files;

/// Size and storage types of the weights of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredWeights {
    /// Number of files.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Number of weights of each storage type, as the format calls it: F32, BF16, `Q4_1`.
    pub types: BTreeMap<String, usize>,
}

impl StoredWeights {
    /// Reads the headers of a model directory's safetensors files.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn of_directory(directory: &Path) -> Result<Self> {
        let mut stored = Self::default();
        for file in weight_files(directory)? {
            stored.files += 1;
            stored.bytes += std::fs::metadata(&file).map_err(io(&file))?.len();
            for (dtype, count) in safetensors_types(&file)? {
                *stored.types.entry(dtype).or_default() += count;
            }
        }
        Ok(stored)
    }

    pub(crate) fn of_gguf(path: &Path, file: &GgufFile) -> Result<Self> {
        Ok(Self {
            files: 1,
            bytes: std::fs::metadata(path).map_err(io(path))?.len(),
            types: file.stored_types(),
        })
    }
}

/// The JSON in front of a safetensors file's tensors, by their names.
pub(crate) fn safetensors_header(path: &Path) -> Result<Map<String, Value>> {
    let length = check_header(path)?;
    let mut header = Vec::new();
    let mut file = std::fs::File::open(path).map_err(io(path))?;
    let mut start = [0u8; 8];
    file.read_exact(&mut start)
        .and_then(|()| file.take(length).read_to_end(&mut header))
        .map_err(io(path))?;
    serde_json::from_slice(&header)
        .map_err(|error| bad_file(path, format!("damaged header ({error})")))
}

/// Dtype and number of elements of every tensor in a safetensors file.
fn safetensors_types(path: &Path) -> Result<Vec<(String, usize)>> {
    let header = safetensors_header(path)?;
    let tensors = header.iter().filter(|(name, _)| *name != "__metadata__");
    tensors
        .map(|(name, tensor)| {
            let dtype = tensor["dtype"].as_str();
            let shape = tensor["shape"].as_array();
            let count = shape.and_then(|shape| {
                shape.iter().try_fold(1_usize, |count, size| {
                    count.checked_mul(usize::try_from(size.as_u64()?).ok()?)
                })
            });
            dtype
                .map(str::to_owned)
                .zip(count)
                .ok_or_else(|| bad_file(path, format!("damaged header at {name}")))
        })
        .collect()
}
