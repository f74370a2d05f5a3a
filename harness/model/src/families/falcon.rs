//! Falcon with rotary positions (7B, 40B, 180B, 11B): parallel sub-layers, fused projections; `ALiBi` models are refused.

use serde_json::json;

use super::base::{BASE_KEYS, Defaults, activation, base, layer_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, FeedForward, Gating, QueryKeyValue, WeightNames, Wiring};

const KEYS: [&str; 12] = [
    "activation",
    "alibi",
    "apply_residual_connection_post_layernorm",
    "bias",
    "ffn_hidden_size",
    "layer_norm_epsilon",
    "multi_query",
    "new_decoder_architecture",
    "num_kv_heads",
    "num_ln_in_parallel_attn",
    "parallel_attn",
    "tie_word_embeddings",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    for key in ["alibi", "apply_residual_connection_post_layernorm"] {
        config.require(key, &json!(false))?;
    }
    config.refuse(&["head_dim", "intermediate_size", "num_key_value_heads"])?;
    let norm = layer_norm(config, "layer_norm_epsilon")?;
    let width = match config.optional_count("ffn_hidden_size")? {
        Some(width) => width,
        None => 4 * config.count("hidden_size")?,
    };
    let defaults = Defaults {
        tied_head: true,
        ..Defaults::default()
    };
    let mut spec = base(config, norm, width, &defaults)?;
    let bias = config.flag("bias", false)?;
    set_heads(config, &mut spec)?;
    spec.attention.input_bias = bias;
    spec.attention.output_bias = bias;
    spec.feed_forward = FeedForward {
        width,
        activation: activation(config, "activation", Activation::Gelu)?,
        gating: Gating::None,
        bias,
    };
    set_wiring(config, &mut spec)?;
    Ok(spec)
}

/// The new architecture groups queries, the old one has one key-value head for all queries or one for each.
fn set_heads(config: &ConfigFile, spec: &mut DecoderSpec) -> Result<()> {
    let heads = spec.attention.heads;
    let (kv_heads, projections) = if config.flag("new_decoder_architecture", false)? {
        let kv_heads = config.optional_count("num_kv_heads")?.unwrap_or(heads);
        (kv_heads, QueryKeyValue::FusedByHead)
    } else if config.flag("multi_query", true)? {
        (1, QueryKeyValue::Fused)
    } else {
        (heads, QueryKeyValue::FusedByHead)
    };
    if !heads.is_multiple_of(kv_heads) {
        return Err(config.bad("num_kv_heads", "a divisor of num_attention_heads"));
    }
    spec.attention.kv_heads = kv_heads;
    spec.attention.projections = projections;
    Ok(())
}

fn set_wiring(config: &ConfigFile, spec: &mut DecoderSpec) -> Result<()> {
    let is_new = config.flag("new_decoder_architecture", false)?;
    let default_norms = if is_new { 2 } else { 1 };
    let norms = config
        .optional_count("num_ln_in_parallel_attn")?
        .unwrap_or(default_norms);
    spec.wiring = match (config.flag("parallel_attn", true)?, norms) {
        (true, 1) => Wiring::ParallelOneNorm,
        (true, 2) if is_new => Wiring::ParallelTwoNorms,
        (true, _) => {
            return Err(config.unsupported("num_ln_in_parallel_attn", " with this architecture"));
        }
        (false, _) if is_new => {
            return Err(config.unsupported("parallel_attn", " with the new architecture"));
        }
        (false, _) => Wiring::PreNorm,
    };
    let two = spec.wiring == Wiring::ParallelTwoNorms;
    spec.names = WeightNames {
        prefix: "transformer.".to_owned(),
        layers: "h",
        embedding: "word_embeddings",
        final_norm: "ln_f",
        attention_norm: if two { "ln_attn" } else { "input_layernorm" },
        feed_forward_norm: if two {
            "ln_mlp"
        } else {
            "post_attention_layernorm"
        },
        query_key_value: "self_attention.query_key_value",
        attention_output: "self_attention.dense",
        up: "mlp.dense_h_to_4h",
        down: "mlp.dense_4h_to_h",
        ..WeightNames::llama()
    };
    Ok(())
}
