//! How a GGUF file stretches rotary frequencies: by a key, or by a tensor of divisors that must be Llama 3's.

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use serde_json::{Value, json};

use super::GgufFile;
use crate::error::{Result, bad_file};
use crate::spec::{Rotary, RotaryScaling};

/// Divisors of the frequencies, one a rotation plane.
pub(super) const FACTORS: &str = "rope_freqs.weight";
/// What Llama 3.1, 3.2 and 3.3 have in common.
const LOW: f64 = 1.0;
const HIGH: f64 = 4.0;
const ORIGINAL_POSITIONS: f64 = 8192.0;
/// Divisors are stored as f32.
const TOLERANCE: f32 = 1e-4;

/// Reads the divisors where the file has them.
pub(super) fn read_factors<R: std::io::Read + std::io::Seek>(
    content: &Content,
    reader: &mut R,
) -> candle_core::Result<Option<Vec<f32>>> {
    if !content.tensor_infos.contains_key(FACTORS) {
        return Ok(None);
    }
    let stored = content.tensor(reader, FACTORS, &Device::Cpu)?;
    let factors = stored.dequantize(&Device::Cpu)?;
    Ok(Some(factors.flatten_all()?.to_vec1()?))
}

impl GgufFile {
    /// `rope_scaling` of config.json.
    pub(super) fn rope_scaling(&self, theta: f64, head_dim: usize) -> Result<Value> {
        let key = "llama.rope.scaling.type";
        let kind = match self.get(key) {
            None => "none",
            Some(_) => self.text(key)?,
        };
        match (kind, &self.rope_factors) {
            ("none", None) => Ok(Value::Null),
            ("none", Some(factors)) => self.llama3(factors, theta, head_dim),
            ("linear", None) => {
                let factor = self.number("llama.rope.scaling.factor")?;
                let factor =
                    factor.ok_or_else(|| self.bad("llama.rope.scaling.factor", "a number"))?;
                Ok(json!({ "rope_type": "linear", "factor": factor }))
            }
            _ => Err(self.unsupported(key, " in GGUF files (none and linear are)")),
        }
    }

    /// The divisors say nothing of where they come from: they are Llama 3's if its formula gives them all.
    fn llama3(&self, factors: &[f32], theta: f64, head_dim: usize) -> Result<Value> {
        let factor = f64::from(factors.last().copied().unwrap_or_default());
        let frequencies = |scaling| {
            let rotary = Rotary {
                dimensions: head_dim,
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
        if factors.len() != head_dim / 2 || !factors.iter().zip(expected).all(is_near) {
            let problem = format!(
                "{FACTORS} holds divisors that are not Llama 3's; take the model's safetensors"
            );
            return Err(bad_file(&self.path, problem));
        }
        Ok(json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": LOW, "high_freq_factor": HIGH,
            "original_max_position_embeddings": ORIGINAL_POSITIONS as usize,
        }))
    }
}
