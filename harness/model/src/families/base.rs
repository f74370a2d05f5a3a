//! What the config.json files of most families have in common, read into a Llama-like description that a family then changes.

use serde_json::Value;

use super::config_file::ConfigFile;
use super::rope;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{
    Attention, DecoderSpec, Embedding, FeedForward, Gating, Head, Layer, Norm, NormKind,
    QueryKeyValue, WeightLayout, WeightNames, Wiring,
};

/// Keys that [`base`] reads or checks.
pub(super) const BASE_KEYS: [&str; 13] = [
    "head_dim",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "partial_rotary_factor",
    "quantization_config",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "vocab_size",
];

/// What transformers takes where a config.json is silent. These are Llama's; families differ.
pub(super) struct Defaults {
    pub(super) max_positions: usize,
    /// Heads are as wide as `hidden_size / num_attention_heads` where there is none.
    pub(super) head_dim: Option<usize>,
    /// Whether an absent `num_key_value_heads` means as many as query heads; otherwise the key must be there.
    pub(super) kv_heads_are_heads: bool,
    pub(super) tied_head: bool,
    pub(super) rope_theta: f64,
    /// The kind of layer whose rotary settings count, where `rope_parameters` has settings for each kind.
    pub(super) rope_layer_type: Option<&'static str>,
    /// Share of a head that is rotated.
    pub(super) rotated_share: f64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            max_positions: 2048,
            head_dim: None,
            kv_heads_are_heads: true,
            tied_head: false,
            rope_theta: 10_000.0,
            rope_layer_type: None,
            rotated_share: 1.0,
        }
    }
}

/// A Llama-like decoder: pre-norm with RMS norm, rotary positions, grouped queries, gated SiLU, no biases, RMS epsilon as
/// given by the caller's `norm`.
pub(super) fn base(
    config: &ConfigFile,
    norm: Norm,
    feed_forward_width: usize,
    defaults: &Defaults,
) -> Result<DecoderSpec> {
    config.require("quantization_config", &Value::Null)?;
    let width = config.count("hidden_size")?;
    let attention = attention(config, width, defaults)?;
    let rotary = rope::rotary(config, attention.head_dim, defaults)?;
    let layer = Layer {
        window: None,
        rotary: Some(rotary),
    };
    let layers = vec![layer; config.count("num_hidden_layers")?];
    Ok(DecoderSpec {
        family: config.text("model_type")?,
        vocabulary: config.count("vocab_size")?,
        width,
        max_positions: config
            .optional_count("max_position_embeddings")?
            .unwrap_or(defaults.max_positions),
        embedding: Embedding {
            width,
            scale: None,
            positions: None,
        },
        norm,
        final_norm: true,
        wiring: Wiring::PreNorm,
        attention,
        feed_forward: FeedForward {
            width: feed_forward_width,
            activation: Activation::Silu,
            gating: Gating::Separate,
            bias: false,
        },
        layers,
        head: Head {
            tied: config.flag("tie_word_embeddings", defaults.tied_head)?,
            bias: false,
            soft_cap: None,
        },
        weight_layout: WeightLayout::OutputsInputs,
        names: WeightNames::llama(),
    })
}

fn attention(config: &ConfigFile, width: usize, defaults: &Defaults) -> Result<Attention> {
    let heads = config.count("num_attention_heads")?;
    let kv_heads = match config.optional_count("num_key_value_heads")? {
        None if defaults.kv_heads_are_heads => heads,
        None => config.count("num_key_value_heads")?,
        Some(given) => given,
    };
    if !heads.is_multiple_of(kv_heads) {
        return Err(config.bad("num_key_value_heads", "a divisor of num_attention_heads"));
    }
    let head_dim = config.optional_count("head_dim")?.or(defaults.head_dim);
    let head_dim = match head_dim {
        Some(head_dim) => head_dim,
        None if width.is_multiple_of(heads) => width / heads,
        None => return Err(config.bad("num_attention_heads", "a divisor of hidden_size")),
    };
    Ok(Attention {
        heads,
        kv_heads,
        head_dim,
        projections: QueryKeyValue::Separate,
        input_bias: false,
        output_bias: false,
        query_key_norm: None,
        scale: (head_dim as f64).sqrt().recip(),
        soft_cap: None,
    })
}

/// RMS norm with the epsilon of `rms_norm_eps`.
pub(super) fn rms_norm(config: &ConfigFile, kind: NormKind, default: f64) -> Result<Norm> {
    let epsilon = config.positive("rms_norm_eps", default)?;
    Ok(Norm { kind, epsilon })
}

/// Layer norm with the epsilon of `key`.
pub(super) fn layer_norm(config: &ConfigFile, key: &str) -> Result<Norm> {
    let epsilon = config.positive(key, 1e-5)?;
    Ok(Norm {
        kind: NormKind::Layer,
        epsilon,
    })
}

/// The activation under `key`, by transformers' name for it.
pub(super) fn activation(
    config: &ConfigFile,
    key: &str,
    default: Activation,
) -> Result<Activation> {
    match config.get(key).map(Value::as_str) {
        None => Ok(default),
        Some(Some("relu")) => Ok(Activation::Relu),
        Some(Some("gelu")) => Ok(Activation::Gelu),
        Some(Some("gelu_new" | "gelu_pytorch_tanh" | "gelu_fast")) => Ok(Activation::GeluTanh),
        Some(Some("silu" | "swish")) => Ok(Activation::Silu),
        Some(_) => Err(config.unsupported(
            key,
            " (relu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast and silu are)",
        )),
    }
}

/// Gives `window` to the layers that slide: those that `layer_types` names, or where it is absent those of `pattern`.
pub(super) fn set_windows(
    config: &ConfigFile,
    layers: &mut [Layer],
    window: Option<usize>,
    pattern: impl Fn(usize) -> bool,
) -> Result<()> {
    let Some(types) = config.get("layer_types") else {
        let sliding = layers
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| pattern(*index));
        sliding.for_each(|(_, layer)| layer.window = window);
        return Ok(());
    };
    let types = types.as_array().filter(|types| types.len() == layers.len());
    let types = types.ok_or_else(|| config.bad("layer_types", "a list with one entry a layer"))?;
    for (layer, kind) in layers.iter_mut().zip(types) {
        layer.window = match kind.as_str() {
            Some("full_attention") => None,
            Some("sliding_attention") => match window {
                Some(window) => Some(window),
                None => return Err(config.bad("sliding_window", "there for sliding layers")),
            },
            _ => {
                return Err(config
                    .unsupported("layer_types", " (full_attention and sliding_attention are)"));
            }
        };
    }
    Ok(())
}
