//! Phi 1, 1.5 and 2: one layer norm for parallel sub-layers, part of each head rotated, biases everywhere.

use serde_json::json;

use super::base::{BASE_KEYS, Defaults, activation, base, layer_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, FeedForward, Gating, WeightNames, Wiring};

const KEYS: [&str; 4] = [
    "hidden_act",
    "layer_norm_eps",
    "qk_layernorm",
    "tie_word_embeddings",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    config.require("qk_layernorm", &json!(false))?;
    // The head has a bias, which a tied one would have nowhere to keep.
    config.require("tie_word_embeddings", &json!(false))?;
    let norm = layer_norm(config, "layer_norm_eps")?;
    let width = config.count("intermediate_size")?;
    let defaults = Defaults {
        rotated_share: 0.5,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, width, &defaults)?;
    spec.wiring = Wiring::ParallelOneNorm;
    spec.attention.input_bias = true;
    spec.attention.output_bias = true;
    spec.feed_forward = FeedForward {
        width,
        activation: activation(config, "hidden_act", Activation::GeluTanh)?,
        gating: Gating::None,
        bias: true,
    };
    spec.head.bias = true;
    spec.names = WeightNames {
        final_norm: "final_layernorm",
        attention_output: "self_attn.dense",
        up: "mlp.fc1",
        down: "mlp.fc2",
        ..WeightNames::llama()
    };
    Ok(spec)
}
