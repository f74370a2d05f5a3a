//! The Llama family (Llama 1–3, SmolLM, TinyLlama): RMS norm, rotary positions, grouped queries, gated SiLU.

use serde_json::json;

use super::base::{BASE_KEYS, Defaults, activation, base, rms_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, NormKind};

const KEYS: [&str; 6] = [
    "attention_bias",
    "hidden_act",
    "mlp_bias",
    "rms_norm_eps",
    "rope_interleaved",
    "tie_word_embeddings",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    config.require("rope_interleaved", &json!(false))?;
    let norm = rms_norm(config, NormKind::Rms, 1e-6)?;
    let mut spec = base(
        config,
        norm,
        config.count("intermediate_size")?,
        &Defaults::default(),
    )?;
    let bias = config.flag("attention_bias", false)?;
    spec.attention.input_bias = bias;
    spec.attention.output_bias = bias;
    spec.feed_forward.bias = config.flag("mlp_bias", false)?;
    spec.feed_forward.activation = activation(config, "hidden_act", Activation::Silu)?;
    Ok(spec)
}
