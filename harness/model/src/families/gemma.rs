//! Gemma 2 and the text models of Gemma 3: scaled embeddings, norms around each sub-layer, gated GELU, alternating windows.

use serde_json::{Value, json};

use super::base::{BASE_KEYS, Defaults, activation, base, rms_norm, set_windows};
use super::config_file::ConfigFile;
use super::rope::RopeSettings;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, NormKind, QueryKeyNorm, Rotary, RotaryScaling, Wiring};

const KEYS: [&str; 15] = [
    "_sliding_window_pattern",
    "attention_bias",
    "attn_logit_softcapping",
    "cache_implementation",
    "final_logit_softcapping",
    "hidden_act",
    "hidden_activation",
    "layer_types",
    "query_pre_attn_scalar",
    "rms_norm_eps",
    "rope_local_base_freq",
    "sliding_window",
    "sliding_window_pattern",
    "tie_word_embeddings",
    "use_bidirectional_attention",
];

pub(super) fn gemma2(config: &ConfigFile) -> Result<DecoderSpec> {
    config.refuse(&["rope_local_base_freq", "sliding_window_pattern"])?;
    let defaults = Defaults {
        max_positions: 8192,
        ..gemma_defaults()
    };
    let mut spec = shared(config, &defaults)?;
    spec.attention.soft_cap = config.positive_or("attn_logit_softcapping", Some(50.0))?;
    spec.head.soft_cap = config.positive_or("final_logit_softcapping", Some(30.0))?;
    let window = config.count_or("sliding_window", 4096)?;
    set_windows(config, &mut spec.layers, window, |index| {
        index.is_multiple_of(2)
    })?;
    Ok(spec)
}

pub(super) fn gemma3(config: &ConfigFile) -> Result<DecoderSpec> {
    let defaults = Defaults {
        max_positions: 131_072,
        rope_theta: 1e6,
        rope_layer_type: Some("full_attention"),
        ..gemma_defaults()
    };
    let mut spec = shared(config, &defaults)?;
    spec.attention.query_key_norm = Some(QueryKeyNorm::PerHead);
    config.require("attn_logit_softcapping", &Value::Null)?;
    spec.head.soft_cap = config.positive_or("final_logit_softcapping", None)?;
    let pattern = match config.optional_count("sliding_window_pattern")? {
        Some(pattern) => pattern,
        None => config
            .optional_count("_sliding_window_pattern")?
            .unwrap_or(6),
    };
    let window = config.count_or("sliding_window", 4096)?;
    set_windows(config, &mut spec.layers, window, |index| {
        !(index + 1).is_multiple_of(pattern)
    })?;
    rotate_sliding_layers(config, &mut spec)?;
    Ok(spec)
}

/// Sliding layers have a base of their own and no scaling, unless `rope_parameters` says otherwise for each kind.
fn rotate_sliding_layers(config: &ConfigFile, spec: &mut DecoderSpec) -> Result<()> {
    let theta = config.positive("rope_local_base_freq", 10_000.0)?;
    let head_dim = spec.attention.head_dim;
    let sliding = match RopeSettings::read(config)?.of_layer_type("sliding_attention") {
        Some(own) => own.rotary(
            head_dim,
            &Defaults {
                rope_theta: theta,
                ..gemma_defaults()
            },
        )?,
        None => Rotary {
            dimensions: head_dim,
            theta,
            scaling: RotaryScaling::None,
        },
    };
    for layer in spec
        .layers
        .iter_mut()
        .filter(|layer| layer.window.is_some())
    {
        layer.rotary = Some(sliding.clone());
    }
    Ok(())
}

fn gemma_defaults() -> Defaults {
    Defaults {
        head_dim: Some(256),
        kv_heads_are_heads: false,
        tied_head: true,
        ..Defaults::default()
    }
}

fn shared(config: &ConfigFile, defaults: &Defaults) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    config.require("use_bidirectional_attention", &json!(false))?;
    let norm = rms_norm(config, NormKind::RmsUnitOffset, 1e-6)?;
    let mut spec = base(config, norm, config.count("intermediate_size")?, defaults)?;
    spec.embedding.scale = Some((spec.width as f64).sqrt());
    spec.wiring = Wiring::SandwichNorm;
    let bias = config.flag("attention_bias", false)?;
    spec.attention.input_bias = bias;
    spec.attention.output_bias = bias;
    spec.attention.scale = config
        .positive("query_pre_attn_scalar", 256.0)?
        .sqrt()
        .recip();
    spec.feed_forward.activation = activation(config, "hidden_activation", Activation::GeluTanh)?;
    spec.names.feed_forward_norm = "pre_feedforward_layernorm";
    Ok(spec)
}
