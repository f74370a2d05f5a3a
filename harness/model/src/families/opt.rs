//! OPT: learned positions, layer norm before or after the sub-layers, rectified units; the embedding may be narrower than the decoder.

use serde_json::json;

use super::base::{BASE_KEYS, Defaults, activation, base, layer_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, FeedForward, Gating, LearnedPositions, WeightNames, Wiring};

const KEYS: [&str; 12] = [
    "_remove_final_layer_norm",
    "activation_dropout",
    "activation_function",
    "do_layer_norm_before",
    "enable_bias",
    "ffn_dim",
    "init_std",
    "layer_norm_elementwise_affine",
    "layerdrop",
    "prefix",
    "tie_word_embeddings",
    "word_embed_proj_dim",
];

/// The table of positions starts with rows that transformers keeps for padding.
const POSITION_OFFSET: usize = 2;

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    config.refuse(&[
        "head_dim",
        "intermediate_size",
        "num_key_value_heads",
        "rope_scaling",
        "rope_theta",
    ])?;
    config.require("enable_bias", &json!(true))?;
    config.require("layer_norm_elementwise_affine", &json!(true))?;
    let norm = layer_norm(config, "layer_norm_eps")?;
    let width = config.count("ffn_dim")?;
    let defaults = Defaults {
        tied_head: true,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, width, &defaults)?;
    spec.layers.iter_mut().for_each(|layer| layer.rotary = None);
    spec.embedding.positions = Some(LearnedPositions {
        offset: POSITION_OFFSET,
    });
    spec.embedding.width = config
        .optional_count("word_embed_proj_dim")?
        .unwrap_or(spec.width);
    let norm_before = config.flag("do_layer_norm_before", true)?;
    spec.wiring = if norm_before {
        Wiring::PreNorm
    } else {
        Wiring::PostNorm
    };
    spec.final_norm = norm_before && !config.flag("_remove_final_layer_norm", false)?;
    spec.attention.input_bias = true;
    spec.attention.output_bias = true;
    spec.feed_forward = FeedForward {
        width,
        activation: activation(config, "activation_function", Activation::Relu)?,
        gating: Gating::None,
        bias: true,
    };
    spec.names = WeightNames {
        prefix: "model.decoder.".to_owned(),
        final_norm: "final_layer_norm",
        attention_norm: "self_attn_layer_norm",
        feed_forward_norm: "final_layer_norm",
        attention_output: "self_attn.out_proj",
        up: "fc1",
        down: "fc2",
        ..WeightNames::llama()
    };
    Ok(spec)
}
