//! How a GGUF file stretches rotary frequencies: by keys, by a tensor of divisors, or by two, for short and for long
//! sequences. Ways of stretching that the decoder lacks are refused by name.

use std::collections::BTreeMap;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use serde_json::{Value, json};

use super::GgufFile;
use super::architecture::Architecture;
use crate::error::Result;
use crate::spec::{Rotary, RotaryScaling};

/// Keys below the architecture's name that are read, or that say nothing about the computation.
pub(super) const KEYS: [&str; 6] = [
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
];
/// Divisors of the frequencies, one a rotation plane.
pub(super) const LLAMA3: &str = "rope_freqs.weight";
/// The same for long and for short sequences.
pub(super) const LONG_AND_SHORT: [&str; 2] =
    ["rope_factors_long.weight", "rope_factors_short.weight"];
/// What Llama 3.1, 3.2 and 3.3 have in common.
const LOW: f64 = 1.0;
const HIGH: f64 = 4.0;
const ORIGINAL_POSITIONS: f64 = 8192.0;
/// Divisors are stored as f32.
const TOLERANCE: f32 = 1e-4;

/// Divisors by the name of their tensor.
pub(super) type Divisors = BTreeMap<&'static str, Vec<f32>>;

/// Reads the divisors that the architecture has, where the file has them. The error comes with the tensor's name.
pub(super) fn read_divisors<R: std::io::Read + std::io::Seek>(
    architecture: &Architecture,
    content: &Content,
    reader: &mut R,
) -> std::result::Result<Divisors, (&'static str, candle_core::Error)> {
    let mut divisors = Divisors::new();
    for &name in architecture.divisors {
        if content.tensor_infos.contains_key(name) {
            let values = content
                .tensor(reader, name, &Device::Cpu)
                .and_then(|stored| stored.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1());
            divisors.insert(name, values.map_err(|error| (name, error))?);
        }
    }
    Ok(divisors)
}

impl GgufFile {
    /// `rope_scaling` of config.json.
    pub(super) fn rope_scaling(&self, theta: f64, rotated: usize) -> Result<Value> {
        let key = self.key("rope.scaling.type");
        let kind = match self.get(&key) {
            None => "none",
            Some(_) => self.text(&key)?,
        };
        let [long, short] = LONG_AND_SHORT.map(|name| self.divisors.get(name));
        match (kind, self.divisors.get(LLAMA3), long, short) {
            ("none", None, None, None) => Ok(Value::Null),
            ("none", Some(divisors), None, None) => self.divided(divisors, theta, rotated),
            ("none" | "longrope", None, Some(long), Some(short)) => {
                let magnitude = self.number(&self.key("rope.scaling.attn_factor"))?;
                Ok(long_rope(long, short, magnitude))
            }
            ("linear", None, None, None) => {
                let factor = self.key("rope.scaling.factor");
                let number = self.number(&factor)?;
                let number = number.ok_or_else(|| self.bad(&factor, "a number"))?;
                Ok(json!({ "rope_type": "linear", "factor": number }))
            }
            _ => Err(self.unsupported(
                &key,
                " in GGUF files (none and linear are, and longrope with both tensors of divisors)",
            )),
        }
    }

    /// One tensor of divisors does not say where it comes from: it is Llama 3's if its formula gives them all, and is taken
    /// as it is otherwise.
    fn divided(&self, divisors: &[f32], theta: f64, rotated: usize) -> Result<Value> {
        let factor = f64::from(divisors.last().copied().unwrap_or_default());
        let frequencies = |scaling| {
            let rotary = Rotary {
                dimensions: rotated,
                theta,
                scaling,
            };
            rotary.inverse_frequencies(false)
        };
        let stretched = frequencies(RotaryScaling::Llama3 {
            factor,
            low: LOW,
            high: HIGH,
            original_positions: ORIGINAL_POSITIONS,
        });
        let expected = frequencies(RotaryScaling::None)
            .into_iter()
            .zip(stretched)
            .map(|(plain, stretched)| plain / stretched);
        let is_near = |(&have, want): (&f32, f32)| (have - want).abs() <= TOLERANCE * want;
        if divisors.len() == rotated / 2 && divisors.iter().zip(expected).all(is_near) {
            return Ok(json!({
                "rope_type": "llama3", "factor": factor, "low_freq_factor": LOW, "high_freq_factor": HIGH,
                "original_max_position_embeddings": ORIGINAL_POSITIONS as usize,
            }));
        }
        let mut scaling = long_rope(divisors, divisors, Some(1.0));
        scaling["original_max_position_embeddings"] = self.sized("context_length")?.into();
        Ok(scaling)
    }
}

/// Divisors as they are; without a magnitude the usual one for how far the context is extended.
fn long_rope(long: &[f32], short: &[f32], magnitude: Option<f64>) -> Value {
    let shortest = |divisor: &f32| divisor.to_string().parse::<f64>().ok();
    let list = |divisors: &[f32]| divisors.iter().map(shortest).collect::<Vec<_>>();
    let mut scaling = json!({
        "rope_type": "longrope", "long_factor": list(long), "short_factor": list(short),
    });
    if let Some(magnitude) = magnitude {
        scaling["attention_factor"] = magnitude.into();
    }
    scaling
}
