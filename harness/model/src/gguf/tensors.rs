//! GGUF tensors as weights under their Hugging Face names: dequantized to f32, or the matrices inside the layers kept in their
//! blocks. Rows move whole and are never quantized again. A tensor without a place is refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor, bail};

use super::places::{Place, Places, Rows};
use super::{GgufFile, damaged};
use crate::error::{Result, bad_file};
use crate::spec::{DecoderSpec, NormKind};
use crate::weights::Weights;

/// How the matrices inside the layers are held in memory; everything else is f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// f32.
    Dequantized,
    /// As the file stores them, widened to f32 only while in use.
    Kept,
}

const F32_BYTES: usize = 4;

impl GgufFile {
    /// The weights that `spec` calls for.
    ///
    /// # Errors
    /// When one is missing, damaged or of another shape, or the file has a tensor that is not used.
    pub(crate) fn weights(
        &mut self,
        spec: &DecoderSpec,
        storage: Storage,
        device: &Device,
    ) -> Result<Weights> {
        let (places, shapes) = (self.places(spec), spec.weight_shapes());
        self.refuse_unused(&places, shapes.keys())?;
        let mut weights = Weights::new(BTreeMap::new());
        for (name, shape) in shapes {
            let Some((place, base, kind)) = place_of(&places, &name) else {
                return Err(self.homeless(&name));
            };
            let stored = self.stored(&format!("{}.{kind}", place.stored), place, device)?;
            self.require_shape(&name, stored.shape().dims(), place, &shape)?;
            if storage == Storage::Kept && is_kept(place, kind, stored.dtype()) {
                weights.put_compressed(base, Arc::new(stored));
            } else {
                weights.replace(&name, dequantized(&stored, place, spec, device)?);
            }
        }
        Ok(weights)
    }

    /// Bytes of the weights where the matrices inside the layers are kept, and what the largest of them takes while in use.
    ///
    /// # Errors
    /// When a weight is missing.
    pub(crate) fn kept_bytes(&self, spec: &DecoderSpec) -> Result<usize> {
        let places = self.places(spec);
        let (mut bytes, mut widened) = (0, 0);
        for (name, shape) in spec.weight_shapes() {
            let count: usize = shape.iter().product();
            let found = place_of(&places, &name).and_then(|(place, _, kind)| {
                let info = self
                    .content
                    .tensor_infos
                    .get(&format!("{}.{kind}", place.stored))?;
                Some((place, kind, info.ggml_dtype))
            });
            let (place, kind, dtype) = found.ok_or_else(|| self.homeless(&name))?;
            if is_kept(place, kind, dtype) {
                bytes += count / dtype.block_size() * dtype.type_size();
                widened = widened.max(count * F32_BYTES);
            } else {
                bytes += count * F32_BYTES;
            }
        }
        Ok(bytes + widened)
    }

    /// Number of weights of each storage type, by the type's name.
    pub(crate) fn stored_types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        let infos: BTreeMap<_, _> = self.content.tensor_infos.iter().collect();
        for info in infos.values() {
            *types.entry(format!("{:?}", info.ggml_dtype)).or_default() += info.shape.elem_count();
        }
        types
    }

    /// A tensor with its rows where they belong.
    fn stored(&mut self, name: &str, place: &Place, device: &Device) -> Result<QTensor> {
        let stored = self.content.tensor(&mut self.reader, name, device);
        let stored = stored.map_err(|error| damaged(&self.path, name, &error))?;
        match &place.rows {
            None => Ok(stored),
            Some(rows) => {
                with_rows(&stored, rows).map_err(|error| damaged(&self.path, name, &error))
            }
        }
    }

    fn require_shape(
        &self,
        name: &str,
        stored: &[usize],
        place: &Place,
        shape: &[usize],
    ) -> Result<()> {
        let mut wanted = shape.to_vec();
        if place.inputs_first {
            wanted.reverse();
        }
        if stored == wanted {
            return Ok(());
        }
        let problem = format!("{name} has shape {stored:?}, the metadata ask for {wanted:?}");
        Err(bad_file(&self.path, problem))
    }

    fn homeless(&self, name: &str) -> crate::ModelError {
        bad_file(&self.path, format!("no tensor holds the weight {name}"))
    }

    fn refuse_unused<'a>(
        &self,
        places: &Places,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        let places = names.filter_map(|name| place_of(places, name));
        let used: BTreeSet<String> = places
            .map(|(place, _, kind)| format!("{}.{kind}", place.stored))
            .collect();
        let stored: BTreeSet<&String> = self.content.tensor_infos.keys().collect();
        let is_used =
            |name: &str| used.contains(name) || self.architecture.divisors.contains(&name);
        match stored.into_iter().find(|name| !is_used(name)) {
            Some(name) => Err(bad_file(
                &self.path,
                format!(
                    "the tensor {name} is not supported in GGUF files of {}; take the model's safetensors",
                    self.architecture.name
                ),
            )),
            None => Ok(()),
        }
    }
}

/// The place of a weight, its name without `.weight` or `.bias`, and which of these it is.
fn place_of<'a>(places: &'a Places, name: &'a str) -> Option<(&'a Place, &'a str, &'a str)> {
    let (base, kind) = name.rsplit_once('.')?;
    Some((places.get(base)?, base, kind))
}

/// f32 matrices gain nothing by being kept.
fn is_kept(place: &Place, kind: &str, dtype: GgmlDType) -> bool {
    place.in_layer && kind == "weight" && dtype != GgmlDType::F32
}

fn dequantized(
    stored: &QTensor,
    place: &Place,
    spec: &DecoderSpec,
    device: &Device,
) -> Result<Tensor> {
    let tensor = stored.dequantize(device)?;
    // llama.cpp adds to the weights of such norms what their formula adds.
    let is_norm = !place.in_layer && tensor.rank() == 1;
    if is_norm && spec.norm.kind == NormKind::RmsUnitOffset {
        return Ok((tensor - 1.0)?);
    }
    if place.inputs_first && tensor.rank() == 2 {
        return Ok(tensor.t()?.contiguous()?);
    }
    Ok(tensor)
}

/// The rows of these numbers. Blocks lie along the inputs, so that a row is whole blocks.
fn with_rows(stored: &QTensor, rows: &Rows) -> candle_core::Result<QTensor> {
    let (dims, dtype, device) = (stored.shape().dims(), stored.dtype(), stored.device());
    let Some((&count, inner)) = dims.split_first() else {
        bail!("a number has no rows");
    };
    let row: usize = inner.iter().product();
    if !row.is_multiple_of(dtype.block_size()) {
        bail!("rows of {row} are not whole blocks of {dtype:?}");
    }
    if count != rows.of {
        bail!("{count} rows are stored, the metadata ask for {}", rows.of);
    }
    let bytes = row / dtype.block_size() * dtype.type_size();
    let data = stored.data()?;
    let moved: Vec<u8> = (rows.order.iter())
        .flat_map(|&from| &data[from * bytes..(from + 1) * bytes])
        .copied()
        .collect();
    let storage = QStorage::from_data(Cow::Owned(moved), &device, dtype)?;
    let shape: Vec<usize> = [rows.order.len()]
        .into_iter()
        .chain(inner.iter().copied())
        .collect();
    QTensor::new(storage, shape)
}

#[cfg(test)]
mod tests {
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    use super::{Rows, with_rows};

    const FORMATS: [GgmlDType; 13] = [
        GgmlDType::F32,
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ];

    #[test]
    fn rows_move_without_being_quantized_again() {
        let numbers: Vec<f32> = (0..4 * 512).map(|i| (i as f32 * 0.7).sin()).collect();
        let matrix = Tensor::from_vec(numbers, (4, 512), &Device::Cpu).unwrap();
        let order = vec![2, 0, 3];
        for format in FORMATS {
            let stored = QTensor::quantize(&matrix, format).unwrap();
            let rows = |stored: &QTensor| {
                let numbers = stored.dequantize(&Device::Cpu).unwrap();
                numbers.to_vec2::<f32>().unwrap()
            };
            let moved = with_rows(
                &stored,
                &Rows {
                    order: order.clone(),
                    of: 4,
                },
            )
            .unwrap();
            let (got, all) = (rows(&moved), rows(&stored));
            assert_eq!(moved.dtype(), format);
            assert_eq!(
                got,
                [all[2].clone(), all[0].clone(), all[3].clone()],
                "{format:?}"
            );
        }
        let stored = QTensor::quantize(&matrix, GgmlDType::Q8_0).unwrap();
        assert!(with_rows(&stored, &Rows { order, of: 5 }).is_err());
    }
}
