//! The architectures of llama.cpp that are understood: what config.json calls each metadata key. A key that no entry names is
//! refused. Tensors need no table: their names go by what they are for (`places.rs`).

use serde_json::{Map, Value, json};

use super::GgufFile;
use super::rope;
use crate::error::Result;

/// A model family as llama.cpp writes it.
#[derive(Debug)]
pub(super) struct Architecture {
    /// `general.architecture`, which is in front of the family's keys.
    pub(super) name: &'static str,
    /// `model_type` of config.json.
    pub(super) model_type: &'static str,
    /// The class in transformers.
    pub(super) class: &'static str,
    /// Keys that config.json has under another name.
    settings: &'static [&'static [Setting]],
    /// Further keys, which `more` reads or which say nothing about the computation.
    keys: &'static [&'static [&'static str]],
    /// What no key says by itself.
    pub(super) more: fn(&GgufFile, &mut Map<String, Value>) -> Result<()>,
    /// Tensors of divisors of the rotary frequencies.
    pub(super) divisors: &'static [&'static str],
    /// Whether queries and keys are rotated in neighbouring rows of a head rather than in rows half a head apart.
    pub(super) interleaved: bool,
}

/// A metadata key below the architecture's name, and its name in config.json.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) config: &'static str,
    pub(super) kind: Kind,
}

/// What a key must hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Count,
    OptionalCount,
    Number,
    OptionalNumber,
    OptionalFlag,
}

const fn setting(key: &'static str, config: &'static str, kind: Kind) -> Setting {
    Setting { key, config, kind }
}

const SIZES: [Setting; 5] = [
    setting("attention.head_count", "num_attention_heads", Kind::Count),
    setting("block_count", "num_hidden_layers", Kind::Count),
    setting("context_length", "max_position_embeddings", Kind::Count),
    setting("embedding_length", "hidden_size", Kind::Count),
    setting("feed_forward_length", "intermediate_size", Kind::Count),
];
const GPT2: [Setting; 6] = [
    setting("attention.head_count", "n_head", Kind::Count),
    setting(
        "attention.layer_norm_epsilon",
        "layer_norm_epsilon",
        Kind::Number,
    ),
    setting("block_count", "n_layer", Kind::Count),
    setting("context_length", "n_positions", Kind::Count),
    setting("embedding_length", "n_embd", Kind::Count),
    setting("feed_forward_length", "n_inner", Kind::Count),
];
const FALCON: [Setting; 6] = [
    setting("attention.head_count", "num_attention_heads", Kind::Count),
    setting("block_count", "num_hidden_layers", Kind::Count),
    setting("context_length", "max_position_embeddings", Kind::Count),
    setting("embedding_length", "hidden_size", Kind::Count),
    setting("feed_forward_length", "ffn_hidden_size", Kind::Count),
    setting(
        "attention.layer_norm_epsilon",
        "layer_norm_epsilon",
        Kind::Number,
    ),
];
const RMS: [Setting; 1] = [setting(
    "attention.layer_norm_rms_epsilon",
    "rms_norm_eps",
    Kind::Number,
)];
const LAYER_NORM: [Setting; 1] = [setting(
    "attention.layer_norm_epsilon",
    "layer_norm_eps",
    Kind::Number,
)];
const PARALLEL: [Setting; 1] = [setting(
    "use_parallel_residual",
    "use_parallel_residual",
    Kind::OptionalFlag,
)];
const SOFT_CAPS: [Setting; 2] = [
    setting(
        "attn_logit_softcapping",
        "attn_logit_softcapping",
        Kind::OptionalNumber,
    ),
    setting(
        "final_logit_softcapping",
        "final_logit_softcapping",
        Kind::OptionalNumber,
    ),
];
const FINAL_SOFT_CAP: [Setting; 1] = [setting(
    "final_logit_softcapping",
    "final_logit_softcapping",
    Kind::OptionalNumber,
)];
const WINDOW: [Setting; 1] = [setting(
    "attention.sliding_window",
    "sliding_window",
    Kind::OptionalCount,
)];
const SLIDING_BASE: [Setting; 1] = [setting(
    "rope.freq_base_swa",
    "rope_local_base_freq",
    Kind::OptionalNumber,
)];

/// Read for the shape of the heads.
const HEADS: [&str; 3] = [
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
];
/// Say nothing that the tensors do not.
const INERT: [&str; 2] = ["tensor_data_layout", "vocab_size"];
const PATTERN: [&str; 1] = ["attention.sliding_window_pattern"];
const PHI3: [&str; 2] = ["attention.sliding_window", "rope.scaling.attn_factor"];
/// llama.cpp goes by the tensors.
const UNREAD_PARALLEL: [&str; 1] = ["use_parallel_residual"];

/// What entries share.
const PLAIN: Architecture = Architecture {
    name: "",
    model_type: "",
    class: "",
    settings: &[&SIZES, &RMS],
    keys: &[&HEADS, &rope::KEYS, &INERT],
    more: gated_silu,
    divisors: &[],
    interleaved: false,
};

/// All that are read.
const ARCHITECTURES: [Architecture; 12] = [
    Architecture {
        name: "falcon",
        model_type: "falcon",
        class: "FalconForCausalLM",
        settings: &[&FALCON],
        more: falcon,
        ..PLAIN
    },
    Architecture {
        name: "gemma2",
        model_type: "gemma2",
        class: "Gemma2ForCausalLM",
        settings: &[&SIZES, &RMS, &SOFT_CAPS, &WINDOW],
        keys: &[&HEADS, &rope::KEYS, &INERT, &PATTERN],
        more: |file, config| gemma(file, config, 46),
        ..PLAIN
    },
    Architecture {
        name: "gemma3",
        model_type: "gemma3_text",
        class: "Gemma3ForCausalLM",
        settings: &[&SIZES, &RMS, &FINAL_SOFT_CAP, &WINDOW, &SLIDING_BASE],
        keys: &[&HEADS, &rope::KEYS, &INERT, &PATTERN],
        more: |file, config| gemma(file, config, 62),
        ..PLAIN
    },
    Architecture {
        name: "gpt2",
        model_type: "gpt2",
        class: "GPT2LMHeadModel",
        settings: &[&GPT2],
        keys: &[&HEADS, &INERT],
        more: |file, config| {
            config.insert("activation_function".into(), "gelu_new".into());
            file.require_plain_heads()
        },
        ..PLAIN
    },
    Architecture {
        name: "gptneox",
        model_type: "gpt_neox",
        class: "GPTNeoXForCausalLM",
        settings: &[&SIZES, &LAYER_NORM, &PARALLEL],
        more: gpt_neox,
        ..PLAIN
    },
    Architecture {
        name: "llama",
        model_type: "llama",
        class: "LlamaForCausalLM",
        more: llama,
        divisors: &[rope::LLAMA3],
        interleaved: true,
        ..PLAIN
    },
    Architecture {
        name: "olmo2",
        model_type: "olmo2",
        class: "Olmo2ForCausalLM",
        ..PLAIN
    },
    Architecture {
        name: "phi2",
        model_type: "phi",
        class: "PhiForCausalLM",
        settings: &[&SIZES, &LAYER_NORM],
        more: |file, config| {
            config.insert("hidden_act".into(), "gelu_new".into());
            file.partly_rotated_heads(config, "partial_rotary_factor")
        },
        ..PLAIN
    },
    Architecture {
        name: "phi3",
        model_type: "phi3",
        class: "Phi3ForCausalLM",
        keys: &[&HEADS, &rope::KEYS, &INERT, &PHI3],
        more: phi3,
        divisors: &rope::LONG_AND_SHORT,
        ..PLAIN
    },
    Architecture {
        name: "qwen2",
        model_type: "qwen2",
        class: "Qwen2ForCausalLM",
        ..PLAIN
    },
    Architecture {
        name: "qwen3",
        model_type: "qwen3",
        class: "Qwen3ForCausalLM",
        more: |file, config| {
            let bias = file.has_tensor("blk.0.attn_q.bias");
            config.insert("attention_bias".into(), bias.into());
            gated_silu(file, config)
        },
        ..PLAIN
    },
    Architecture {
        name: "stablelm",
        model_type: "stablelm",
        class: "StableLmForCausalLM",
        settings: &[&SIZES, &LAYER_NORM],
        keys: &[&HEADS, &rope::KEYS, &INERT, &UNREAD_PARALLEL],
        more: stablelm,
        ..PLAIN
    },
];

impl Architecture {
    /// The architecture of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        ARCHITECTURES
            .iter()
            .find(|architecture| architecture.name == name)
    }

    /// The names of all, for error messages.
    pub(super) fn names() -> String {
        let names: Vec<&str> = ARCHITECTURES
            .iter()
            .map(|architecture| architecture.name)
            .collect();
        names.join(", ")
    }

    pub(super) fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        self.settings.iter().copied().flatten()
    }

    /// Whether a key below the architecture's name is understood.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.settings().any(|setting| setting.key == key)
            || self
                .keys
                .iter()
                .copied()
                .flatten()
                .any(|&known| known == key)
    }
}

fn gated_silu(file: &GgufFile, config: &mut Map<String, Value>) -> Result<()> {
    config.insert("hidden_act".into(), "silu".into());
    file.whole_heads(config)
}

fn llama(file: &GgufFile, config: &mut Map<String, Value>) -> Result<()> {
    config.insert(
        "attention_bias".into(),
        file.has_tensor("blk.0.attn_output.bias").into(),
    );
    config.insert(
        "mlp_bias".into(),
        file.has_tensor("blk.0.ffn_down.bias").into(),
    );
    gated_silu(file, config)
}

/// With one key-value head and one norm Falcon is the first one's multi-query model, which the new architecture computes too.
fn falcon(file: &GgufFile, config: &mut Map<String, Value>) -> Result<()> {
    let norms = 1 + usize::from(file.has_tensor("blk.0.attn_norm_2.weight"));
    let kv_heads = file.kv_heads()?;
    let is_new = norms == 2 || kv_heads > 1;
    config.insert("new_decoder_architecture".into(), is_new.into());
    if is_new {
        config.insert("num_kv_heads".into(), kv_heads.into());
        config.insert("num_ln_in_parallel_attn".into(), norms.into());
    }
    config.insert("bias".into(), file.has_tensor("blk.0.attn_qkv.bias").into());
    file.require_plain_heads()?;
    file.rotation(config, "rope_theta")
}

/// Queries are scaled by the width of a head, in the largest model by that of an even share of the width. llama.cpp tells
/// the largest by its number of layers, as the files have no key for it.
fn gemma(file: &GgufFile, config: &mut Map<String, Value>, layers_of_largest: usize) -> Result<()> {
    let scalar = if file.sized("block_count")? == layers_of_largest {
        file.sized("embedding_length")? / file.heads()?
    } else {
        file.head_dim()?
    };
    config.insert("query_pre_attn_scalar".into(), scalar.into());
    config.insert("hidden_activation".into(), "gelu_pytorch_tanh".into());
    file.sliding_layers(config)?;
    file.whole_heads(config)
}

/// The activation is Pythia's; the files have no key for it.
fn gpt_neox(file: &GgufFile, config: &mut Map<String, Value>) -> Result<()> {
    config.insert("hidden_act".into(), "gelu".into());
    config.insert(
        "attention_bias".into(),
        file.has_tensor("blk.0.attn_qkv.bias").into(),
    );
    file.require_plain_heads()?;
    file.rotated_share(config, "rotary_pct")?;
    file.rotation(config, "rotary_emb_base")
}

/// A window of zero is none.
fn phi3(file: &GgufFile, config: &mut Map<String, Value>) -> Result<()> {
    let window = file.optional_count(&file.key("attention.sliding_window"))?;
    let window = window.filter(|&window| window > 0);
    config.insert("hidden_act".into(), "silu".into());
    config.insert("sliding_window".into(), json!(window));
    let original = file.optional_count(&file.key("rope.scaling.original_context_length"))?;
    config.insert("original_max_position_embeddings".into(), json!(original));
    file.partly_rotated_heads(config, "partial_rotary_factor")
}

fn stablelm(file: &GgufFile, config: &mut Map<String, Value>) -> Result<()> {
    let has = |name| file.has_tensor(name);
    config.insert("hidden_act".into(), "silu".into());
    config.insert(
        "use_parallel_residual".into(),
        (!has("blk.0.ffn_norm.weight")).into(),
    );
    config.insert("use_qkv_bias".into(), has("blk.0.attn_q.bias").into());
    config.insert(
        "qk_layernorm".into(),
        has("blk.0.attn_q_norm.weight").into(),
    );
    file.partly_rotated_heads(config, "partial_rotary_factor")
}
