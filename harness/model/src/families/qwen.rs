//! Qwen 2 and 2.5 (biases on queries, keys and values) and Qwen 3 (norms on queries and keys of each head).

use serde_json::json;

use super::base::{BASE_KEYS, Defaults, activation, base, rms_norm, set_windows};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, NormKind, QueryKeyNorm};

const KEYS: [&str; 9] = [
    "attention_bias",
    "hidden_act",
    "layer_types",
    "max_window_layers",
    "rms_norm_eps",
    "sliding_window",
    "tie_word_embeddings",
    "use_mrope",
    "use_sliding_window",
];

pub(super) fn qwen2(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require("attention_bias", &json!(true))?;
    let mut spec = shared(config, None)?;
    spec.attention.input_bias = true;
    Ok(spec)
}

pub(super) fn qwen3(config: &ConfigFile) -> Result<DecoderSpec> {
    let mut spec = shared(config, Some(128))?;
    let bias = config.flag("attention_bias", false)?;
    spec.attention.input_bias = bias;
    spec.attention.output_bias = bias;
    spec.attention.query_key_norm = Some(QueryKeyNorm::PerHead);
    Ok(spec)
}

fn shared(config: &ConfigFile, head_dim: Option<usize>) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    config.require("use_mrope", &json!(false))?;
    let norm = rms_norm(config, NormKind::Rms, 1e-6)?;
    let defaults = Defaults {
        max_positions: 32_768,
        head_dim,
        kv_heads_are_heads: false,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, config.count("intermediate_size")?, &defaults)?;
    let window = if config.flag("use_sliding_window", false)? {
        config.count_or("sliding_window", 4096)?
    } else {
        None
    };
    // An integer of its own: zero means that every layer slides.
    let full_layers = config.number("max_window_layers", 28.0)? as usize;
    set_windows(config, &mut spec.layers, window, |index| {
        index >= full_layers
    })?;
    spec.feed_forward.activation = activation(config, "hidden_act", Activation::Silu)?;
    Ok(spec)
}
