//! Mistral 7B and what is built like it: Llama with a sliding window in every layer.

use super::base::{BASE_KEYS, Defaults, activation, base, rms_norm, set_windows};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, NormKind};

const KEYS: [&str; 4] = [
    "hidden_act",
    "rms_norm_eps",
    "sliding_window",
    "tie_word_embeddings",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    let norm = rms_norm(config, NormKind::Rms, 1e-6)?;
    let defaults = Defaults {
        max_positions: 131_072,
        kv_heads_are_heads: false,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, config.count("intermediate_size")?, &defaults)?;
    let window = config.count_or("sliding_window", 4096)?;
    set_windows(config, &mut spec.layers, window, |_| true)?;
    spec.feed_forward.activation = activation(config, "hidden_act", Activation::Silu)?;
    Ok(spec)
}
