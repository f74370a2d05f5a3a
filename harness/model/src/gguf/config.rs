//! From GGUF metadata to what config.json would say. A `llama.*` key that is not understood is refused, never ignored.

use candle_core::quantized::gguf_file::Value as Metadata;
use serde_json::{Value, json};

use super::{GgufFile, integer};
use crate::error::{Result, bad_file};

/// Keys below `llama.` that are read, or that say nothing about the computation.
const KNOWN: [&str; 17] = [
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "tensor_data_layout",
    "vocab_size",
];
/// Keys that change nothing where they are zero: mixtures of experts.
const ZERO: [&str; 2] = ["expert_count", "expert_used_count"];

impl GgufFile {
    /// config.json of the Llama family.
    pub(super) fn config(&self) -> Result<Value> {
        self.refuse_unknown_keys()?;
        let heads = match self.count("llama.attention.head_count")? {
            0 => return Err(self.bad("llama.attention.head_count", "positive")),
            heads => heads,
        };
        let width = self.count("llama.embedding_length")?;
        let head_dim = match self.optional_count("llama.attention.key_length")? {
            Some(head_dim) => head_dim,
            None => width / heads,
        };
        for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
            if self
                .optional_count(key)?
                .is_some_and(|other| other != head_dim)
            {
                return Err(self.unsupported(key, &format!(" (only {head_dim}, a whole head, is)")));
            }
        }
        let theta = self.number("llama.rope.freq_base")?.unwrap_or(10_000.0);
        let kv_heads = self
            .optional_count("llama.attention.head_count_kv")?
            .unwrap_or(heads);
        let epsilon = self
            .number("llama.attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| self.bad("llama.attention.layer_norm_rms_epsilon", "a number"))?;
        Ok(json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "attention_bias": self.has_tensor("blk.0.attn_output.bias"),
            "bos_token_id": self.token_id("bos")?,
            "eos_token_id": self.token_id("eos")?,
            "pad_token_id": self.token_id("padding")?,
            "head_dim": head_dim,
            "hidden_act": "silu",
            "hidden_size": width,
            "intermediate_size": self.count("llama.feed_forward_length")?,
            "max_position_embeddings": self.count("llama.context_length")?,
            "mlp_bias": self.has_tensor("blk.0.ffn_down.bias"),
            "num_attention_heads": heads,
            "num_hidden_layers": self.count("llama.block_count")?,
            "num_key_value_heads": kv_heads,
            "rms_norm_eps": epsilon,
            "rope_scaling": self.rope_scaling(theta, head_dim)?,
            "rope_theta": theta,
            "tie_word_embeddings": !self.has_tensor("output.weight"),
            "torch_dtype": "float32",
            "vocab_size": self.embedding_rows()?,
        }))
    }

    /// `generation_config.json`: a model that ends its turns with a token of its own ends texts with either.
    pub(super) fn generation_config(&self) -> Result<Value> {
        let ids = [
            self.token_id("eos")?,
            self.token_id("eot")?,
            self.token_id("eom")?,
        ];
        let mut ends: Vec<usize> = Vec::new();
        for id in ids.into_iter().flatten() {
            if !ends.contains(&id) {
                ends.push(id);
            }
        }
        Ok(json!({ "bos_token_id": self.token_id("bos")?, "eos_token_id": ends }))
    }

    /// `tokenizer.ggml.<role>_token_id`.
    pub(super) fn token_id(&self, role: &str) -> Result<Option<usize>> {
        self.optional_count(&format!("tokenizer.ggml.{role}_token_id"))
    }

    fn refuse_unknown_keys(&self) -> Result<()> {
        let mut keys: Vec<&String> = self.content.metadata.keys().collect();
        keys.sort();
        let zero = |value: Option<&Metadata>| value.and_then(integer) == Some(0);
        for key in keys {
            let Some(name) = key.strip_prefix("llama.") else {
                continue;
            };
            let inert = ZERO.contains(&name) && zero(self.get(key));
            if !inert && !KNOWN.contains(&name) {
                return Err(self.unsupported(key, " in GGUF files"));
            }
        }
        Ok(())
    }

    fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn embedding_rows(&self) -> Result<usize> {
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        embedding
            .and_then(|info| info.shape.dims().first().copied())
            .ok_or_else(|| bad_file(&self.path, "the tensor token_embd.weight is missing"))
    }
}
