//! GPT-NeoX and Pythia: parallel sub-layers with a layer norm each, part of each head rotated, queries, keys and values of
//! each head fused.

use super::base::{BASE_KEYS, Defaults, activation, base, layer_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, FeedForward, Gating, QueryKeyValue, WeightNames, Wiring};

const KEYS: [&str; 8] = [
    "attention_bias",
    "classifier_dropout",
    "hidden_act",
    "layer_norm_eps",
    "rotary_emb_base",
    "rotary_pct",
    "tie_word_embeddings",
    "use_parallel_residual",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    let norm = layer_norm(config, "layer_norm_eps")?;
    let width = config.count("intermediate_size")?;
    let defaults = Defaults {
        rope_theta: config.positive("rotary_emb_base", 10_000.0)?,
        rotated_share: config.positive("rotary_pct", 0.25)?,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, width, &defaults)?;
    spec.wiring = if config.flag("use_parallel_residual", true)? {
        Wiring::ParallelTwoNorms
    } else {
        Wiring::PreNorm
    };
    let bias = config.flag("attention_bias", true)?;
    spec.attention.projections = QueryKeyValue::FusedByHead;
    spec.attention.input_bias = bias;
    spec.attention.output_bias = bias;
    spec.feed_forward = FeedForward {
        width,
        activation: activation(config, "hidden_act", Activation::Gelu)?,
        gating: Gating::None,
        bias: true,
    };
    spec.names = WeightNames {
        prefix: "gpt_neox.".to_owned(),
        embedding: "embed_in",
        final_norm: "final_layer_norm",
        head: "embed_out",
        query_key_value: "attention.query_key_value",
        attention_output: "attention.dense",
        up: "mlp.dense_h_to_4h",
        down: "mlp.dense_4h_to_h",
        ..WeightNames::llama()
    };
    Ok(spec)
}
