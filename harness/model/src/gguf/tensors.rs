//! GGUF tensors as weights under their Hugging Face names, dequantized to f32. A tensor without a place is refused.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};

use super::rope::FACTORS;
use super::{GgufFile, damaged};
use crate::error::{Result, bad_file};
use crate::spec::DecoderSpec;
use crate::weights::Weights;

/// Names outside the layers: Hugging Face's and llama.cpp's.
const TOP: [(&str, &str); 3] = [
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
];
/// Names within a layer.
const LAYER: [(&str, &str); 9] = [
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
];

impl GgufFile {
    /// The weights that `spec` calls for.
    ///
    /// # Errors
    /// When one is missing, damaged or of another shape, or the file has a tensor that is not used.
    pub(crate) fn weights(&mut self, spec: &DecoderSpec, device: &Device) -> Result<Weights> {
        let shapes = spec.weight_shapes();
        self.refuse_unused(shapes.keys())?;
        let mut tensors = BTreeMap::new();
        for (name, shape) in shapes {
            let stored = self.dequantized(&stored_name(&name), device)?;
            if stored.dims() != shape {
                let problem = format!(
                    "{name} has shape {:?}, the metadata ask for {shape:?}",
                    stored.dims()
                );
                return Err(bad_file(&self.path, problem));
            }
            let rotated = name.contains(".q_proj.") || name.contains(".k_proj.");
            let tensor = if rotated {
                rotary_halves(&stored, spec.attention.head_dim)?
            } else {
                stored
            };
            tensors.insert(name, tensor);
        }
        Ok(Weights::new(tensors))
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

    fn dequantized(&mut self, name: &str, device: &Device) -> Result<Tensor> {
        let stored = self
            .content
            .tensor(&mut self.reader, name, device)
            .map_err(|error| damaged(&self.path, name, &error))?;
        Ok(stored.dequantize(device)?)
    }

    fn refuse_unused<'a>(&self, names: impl Iterator<Item = &'a String>) -> Result<()> {
        let used: BTreeSet<String> = names.map(|name| stored_name(name)).collect();
        let stored: BTreeSet<&String> = self.content.tensor_infos.keys().collect();
        match stored
            .into_iter()
            .find(|&name| name != FACTORS && !used.contains(name))
        {
            Some(name) => Err(bad_file(
                &self.path,
                format!(
                    "the tensor {name} is not supported in GGUF files; take the model's safetensors"
                ),
            )),
            None => Ok(()),
        }
    }
}

/// llama.cpp's name of a weight; a name that llama.cpp has no word for stays.
fn stored_name(name: &str) -> String {
    let rename = |table: &[(&str, &str)], path: &str| {
        let found = table.iter().find_map(|(ours, theirs)| {
            let rest = path.strip_prefix(ours)?;
            rest.starts_with('.').then(|| format!("{theirs}{rest}"))
        });
        found.unwrap_or_else(|| path.to_owned())
    };
    let layer = name
        .strip_prefix("model.layers.")
        .and_then(|rest| rest.split_once('.'));
    match layer {
        Some((layer, path)) => format!("blk.{layer}.{}", rename(&LAYER, path)),
        None => rename(&TOP, name),
    }
}

/// llama.cpp rotates neighbouring rows of a head, Hugging Face rows half a head apart: rows
/// [heads, `head_dim`/2, 2] become [heads, 2, `head_dim`/2].
fn rotary_halves(weight: &Tensor, head_dim: usize) -> candle_core::Result<Tensor> {
    let heads = weight.dim(0)? / head_dim;
    weight
        .reshape((heads, head_dim / 2, 2, ()))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape(weight.dims())
}
