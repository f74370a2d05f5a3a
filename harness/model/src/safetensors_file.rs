//! Safetensors files of f32 tensors, written one tensor after the other, and read whole. It refuses files that are cut short.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::Dtype;

use crate::error::{Result, bad_file, first_line, io};

/// What becomes a tensor of a file.
#[derive(Clone, Copy)]
pub(crate) enum StoredTensor<'a> {
    Tensor(&'a Tensor),
    /// With their shape.
    Values(&'a [f32], &'a [usize]),
}

/// A tensor whose bytes are made when they are written; a device's failure meanwhile is left in `failure`.
struct Lazy<'a> {
    stored: StoredTensor<'a>,
    failure: &'a RefCell<Option<candle_core::Error>>,
}

impl safetensors::View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        match self.stored {
            StoredTensor::Tensor(tensor) => tensor.dims(),
            StoredTensor::Values(_, shape) => shape,
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let tensor = match self.stored {
            StoredTensor::Values(values, _) => return Cow::Owned(bytes(values)),
            StoredTensor::Tensor(tensor) => tensor,
        };
        let values = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        Cow::Owned(values.map_or_else(
            |error| {
                *self.failure.borrow_mut() = Some(error);
                vec![0; self.data_len()]
            },
            |values| bytes(&values),
        ))
    }

    fn data_len(&self) -> usize {
        self.shape().iter().product::<usize>() * size_of::<f32>()
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Writes f32 tensors as one safetensors file, beside its name first: a disk that is full leaves no half of it.
pub(crate) fn write_safetensors<'a>(
    tensors: impl IntoIterator<Item = (impl AsRef<str> + Ord + std::fmt::Display, StoredTensor<'a>)>,
    file: &Path,
) -> Result<()> {
    let mut staged = file.as_os_str().to_owned();
    staged.push(".partial");
    let staged = PathBuf::from(staged);
    let written = write_to(tensors, &staged, file)
        .and_then(|()| std::fs::rename(&staged, file).map_err(io(file)));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&staged);
    }
    written
}

/// Writes a file that errors call `name`.
fn write_to<'a>(
    tensors: impl IntoIterator<Item = (impl AsRef<str> + Ord + std::fmt::Display, StoredTensor<'a>)>,
    file: &Path,
    name: &Path,
) -> Result<()> {
    let failure = RefCell::new(None);
    let lazy = tensors.into_iter().map(|(name, stored)| {
        let failure = &failure;
        (name, Lazy { stored, failure })
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    // The library makes its file unreadable to others; a model file gets the permissions of any new file.
    let permissions = std::fs::File::create(file)
        .and_then(|created| created.metadata())
        .map_err(io(name))?
        .permissions();
    safetensors::serialize_to_file(lazy, Some(metadata), file)
        .map_err(|error| bad_file(name, error))?;
    if let Some(error) = failure.into_inner() {
        return Err(error.into());
    }
    std::fs::set_permissions(file, permissions).map_err(io(name))
}

/// Reads a whole safetensors file in its own dtypes.
pub(crate) fn read_safetensors(file: &Path, device: &Device) -> Result<BTreeMap<String, Tensor>> {
    check_header(file)?;
    let tensors = candle_core::safetensors::load(file, device);
    let tensors = tensors.map_err(|error| bad_file(file, first_line(&error)))?;
    Ok(tensors.into_iter().collect())
}

/// Length of the JSON header in bytes; says what is wrong with a damaged file in words a user can act on.
pub(crate) fn check_header(file: &Path) -> Result<u64> {
    let actual = std::fs::metadata(file).map_err(io(file))?.len();
    let mut start = [0u8; 8];
    let mut opened = std::fs::File::open(file).map_err(io(file))?;
    let header =
        std::io::Read::read_exact(&mut opened, &mut start).map(|()| u64::from_le_bytes(start));
    match header {
        Ok(header) if header.saturating_add(8) <= actual => Ok(header),
        _ => Err(bad_file(
            file,
            format!("the file is damaged or cut short ({actual} bytes); download it again"),
        )),
    }
}
