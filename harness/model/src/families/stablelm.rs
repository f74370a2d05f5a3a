//! `StableLM`: layer norm, part of each head rotated, gated SiLU; one norm for parallel sub-layers in some models.

use serde_json::json;

use super::base::{BASE_KEYS, Defaults, activation, base, layer_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, Wiring};

const KEYS: [&str; 6] = [
    "hidden_act",
    "layer_norm_eps",
    "qk_layernorm",
    "tie_word_embeddings",
    "use_parallel_residual",
    "use_qkv_bias",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    config.require("qk_layernorm", &json!(false))?;
    let norm = layer_norm(config, "layer_norm_eps")?;
    let defaults = Defaults {
        max_positions: 4096,
        kv_heads_are_heads: false,
        rotated_share: 0.25,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, config.count("intermediate_size")?, &defaults)?;
    if config.flag("use_parallel_residual", false)? {
        spec.wiring = Wiring::ParallelOneNorm;
    }
    spec.attention.input_bias = config.flag("use_qkv_bias", false)?;
    spec.feed_forward.activation = activation(config, "hidden_act", Activation::Silu)?;
    Ok(spec)
}
