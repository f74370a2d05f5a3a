//! Phi 3 and 4: Llama with fused input projections, and frequencies of their own for long sequences.

use serde_json::json;

use super::base::{BASE_KEYS, Defaults, activation, base, rms_norm, set_windows};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, Gating, NormKind, QueryKeyValue};

const KEYS: [&str; 10] = [
    "attention_bias",
    "full_attn_mod",
    "hidden_act",
    "interpolate_factor",
    "lm_head_bias",
    "mlp_bias",
    "original_max_position_embeddings",
    "rms_norm_eps",
    "sliding_window",
    "tie_word_embeddings",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    for key in ["attention_bias", "lm_head_bias", "mlp_bias"] {
        config.require(key, &json!(false))?;
    }
    for key in ["full_attn_mod", "interpolate_factor"] {
        config.require(key, &json!(1))?;
    }
    let norm = rms_norm(config, NormKind::Rms, 1e-5)?;
    let defaults = Defaults {
        max_positions: 4096,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, config.count("intermediate_size")?, &defaults)?;
    let window = config.optional_count("sliding_window")?;
    set_windows(config, &mut spec.layers, window, |_| true)?;
    spec.attention.projections = QueryKeyValue::Fused;
    spec.feed_forward.gating = Gating::Fused;
    spec.feed_forward.activation = activation(config, "hidden_act", Activation::Silu)?;
    Ok(spec)
}
