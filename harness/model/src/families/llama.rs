//! The Llama family (Llama 1–3, SmolLM, TinyLlama): RMS norm, rotary positions, grouped queries, gated SiLU.

use serde_json::{Map, Value, json};

use super::config_file::ConfigFile;
use crate::error::Result;
use crate::spec::{Attention, DecoderSpec, FeedForward, Rotary, RotaryScaling};

const READ: [&str; 19] = [
    "attention_bias",
    "head_dim",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "mlp_bias",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "partial_rotary_factor",
    "quantization_config",
    "rms_norm_eps",
    "rope_interleaved",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
    "vocab_size",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&READ)?;
    config.require("hidden_act", &json!("silu"))?;
    config.require("rope_interleaved", &json!(false))?;
    config.require("partial_rotary_factor", &json!(1.0))?;
    config.require("quantization_config", &Value::Null)?;
    let (width, heads) = (
        config.count("hidden_size")?,
        config.count("num_attention_heads")?,
    );
    let kv_heads = config
        .optional_count("num_key_value_heads")?
        .unwrap_or(heads);
    if heads % kv_heads != 0 {
        return Err(config.bad("num_key_value_heads", "a divisor of num_attention_heads"));
    }
    let head_dim = config.optional_count("head_dim")?.unwrap_or(width / heads);
    if head_dim == 0 || head_dim % 2 != 0 {
        return Err(config.bad("head_dim", "even (rotary embedding turns pairs)"));
    }
    Ok(DecoderSpec {
        family: config.text("model_type")?,
        vocabulary: config.count("vocab_size")?,
        width,
        layers: config.count("num_hidden_layers")?,
        max_positions: config
            .optional_count("max_position_embeddings")?
            .unwrap_or(2048),
        norm_epsilon: config.number("rms_norm_eps", 1e-6)?,
        attention: Attention {
            heads,
            kv_heads,
            head_dim,
            bias: config.flag("attention_bias", false)?,
        },
        rotary: rotary(config)?,
        feed_forward: FeedForward {
            width: config.count("intermediate_size")?,
            bias: config.flag("mlp_bias", false)?,
        },
        tied_head: config.flag("tie_word_embeddings", false)?,
    })
}

/// Both config styles: `rope_theta` beside `rope_scaling`, and transformers 5's `rope_parameters`.
fn rotary(config: &ConfigFile) -> Result<Rotary> {
    let key = if config.get("rope_parameters").is_some() {
        "rope_parameters"
    } else {
        "rope_scaling"
    };
    let empty = Map::new();
    let settings = match config.get(key) {
        None => &empty,
        Some(Value::Object(settings)) => settings,
        Some(_) => return Err(config.bad(key, "an object")),
    };
    let theta = match settings.get("rope_theta").and_then(Value::as_f64) {
        Some(theta) => theta,
        None => config.number("rope_theta", 10_000.0)?,
    };
    let number = |name: &str| {
        let value = settings
            .get(name)
            .and_then(Value::as_f64)
            .filter(|&x| x > 0.0);
        value.ok_or_else(|| {
            config.bad(
                key,
                &format!("complete: {name} is missing or no positive number"),
            )
        })
    };
    let kind = settings
        .get("rope_type")
        .or_else(|| settings.get("type"))
        .and_then(Value::as_str);
    let scaling = match kind.unwrap_or("default") {
        "default" => RotaryScaling::None,
        "linear" => RotaryScaling::Linear {
            factor: number("factor")?,
        },
        "llama3" => RotaryScaling::Llama3 {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            original_positions: number("original_max_position_embeddings")?,
        },
        _ => return Err(config.unsupported(key, " (default, linear and llama3 are)")),
    };
    Ok(Rotary { theta, scaling })
}
