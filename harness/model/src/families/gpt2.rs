//! GPT-2: learned positions, pre-norm with layer norm, fused projections stored as [inputs, outputs].

use serde_json::{Value, json};

use super::base::{activation, layer_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{
    Attention, DecoderSpec, Embedding, FeedForward, Gating, Head, Layer, LearnedPositions,
    QueryKeyValue, WeightLayout, WeightNames, Wiring,
};

const KEYS: [&str; 23] = [
    "activation_function",
    "add_cross_attention",
    "layer_norm_epsilon",
    "n_ctx",
    "n_embd",
    "n_head",
    "n_inner",
    "n_layer",
    "n_positions",
    "n_special",
    "predict_special_tokens",
    "quantization_config",
    "reorder_and_upcast_attn",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tie_word_embeddings",
    "vocab_size",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&KEYS])?;
    config.require("quantization_config", &Value::Null)?;
    config.require("scale_attn_weights", &json!(true))?;
    for key in ["add_cross_attention", "scale_attn_by_inverse_layer_idx"] {
        config.require(key, &json!(false))?;
    }
    let (width, heads) = (config.count("n_embd")?, config.count("n_head")?);
    if !width.is_multiple_of(heads) {
        return Err(config.bad("n_head", "a divisor of n_embd"));
    }
    let head_dim = width / heads;
    let layer = Layer {
        window: None,
        rotary: None,
    };
    Ok(DecoderSpec {
        family: config.text("model_type")?,
        vocabulary: config.count("vocab_size")?,
        width,
        max_positions: config.optional_count("n_positions")?.unwrap_or(1024),
        embedding: Embedding {
            width,
            scale: None,
            positions: Some(LearnedPositions { offset: 0 }),
        },
        norm: layer_norm(config, "layer_norm_epsilon")?,
        final_norm: true,
        wiring: Wiring::PreNorm,
        attention: Attention {
            heads,
            kv_heads: heads,
            head_dim,
            projections: QueryKeyValue::Fused,
            input_bias: true,
            output_bias: true,
            query_key_norm: None,
            scale: (head_dim as f64).sqrt().recip(),
            soft_cap: None,
        },
        feed_forward: FeedForward {
            width: config.optional_count("n_inner")?.unwrap_or(4 * width),
            activation: activation(config, "activation_function", Activation::GeluTanh)?,
            gating: Gating::None,
            bias: true,
        },
        layers: vec![layer; config.count("n_layer")?],
        head: Head {
            tied: config.flag("tie_word_embeddings", true)?,
            bias: false,
            soft_cap: None,
        },
        weight_layout: WeightLayout::InputsOutputs,
        names: names(),
    })
}

fn names() -> WeightNames {
    WeightNames {
        prefix: "transformer.".to_owned(),
        layers: "h",
        embedding: "wte",
        positions: "wpe",
        final_norm: "ln_f",
        attention_norm: "ln_1",
        feed_forward_norm: "ln_2",
        query_key_value: "attn.c_attn",
        attention_output: "attn.c_proj",
        up: "mlp.c_fc",
        down: "mlp.c_proj",
        ..WeightNames::llama()
    }
}
