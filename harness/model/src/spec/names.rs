//! What a family calls its weights in safetensors files. Names only; shapes and meaning are the description's.

/// Names of weights without `.weight` and `.bias`. What a family does not have keeps Llama's name and is never asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightNames {
    /// In front of every name but the head's, with its dot.
    pub prefix: String,
    /// What transformers has in front of that prefix where this file leaves it out; adapters carry it.
    pub left_out: String,
    /// The list of layers; `prefix layers . INDEX .` is in front of the names from `attention_norm` on.
    pub layers: &'static str,
    /// Token embedding.
    pub embedding: &'static str,
    /// Learned position embedding.
    pub positions: &'static str,
    /// From the embedding's width to the decoder's.
    pub project_in: &'static str,
    /// From the decoder's width to the embedding's.
    pub project_out: &'static str,
    /// Norm after the last layer.
    pub final_norm: &'static str,
    /// Language-model head.
    pub head: &'static str,
    /// Norm before attention (after it and the residual, for post-norm layers).
    pub attention_norm: &'static str,
    /// Norm on the attention's output.
    pub attention_output_norm: &'static str,
    /// Norm before the feed-forward layer (after it and the residual, for post-norm layers).
    pub feed_forward_norm: &'static str,
    /// Norm on the feed-forward layer's output.
    pub feed_forward_output_norm: &'static str,
    /// Query projection.
    pub query: &'static str,
    /// Key projection.
    pub key: &'static str,
    /// Value projection.
    pub value: &'static str,
    /// The three in one.
    pub query_key_value: &'static str,
    /// Norm on queries.
    pub query_norm: &'static str,
    /// Norm on keys.
    pub key_norm: &'static str,
    /// Attention's output projection.
    pub attention_output: &'static str,
    /// What the activation is applied to in a gated feed-forward layer.
    pub gate: &'static str,
    /// The widening projection.
    pub up: &'static str,
    /// Both in one.
    pub gate_up: &'static str,
    /// The narrowing projection.
    pub down: &'static str,
}

impl WeightNames {
    /// The names of Llama, which most families share in part.
    pub fn llama() -> Self {
        Self {
            prefix: "model.".to_owned(),
            left_out: String::new(),
            layers: "layers",
            embedding: "embed_tokens",
            positions: "embed_positions",
            project_in: "project_in",
            project_out: "project_out",
            final_norm: "norm",
            head: "lm_head",
            attention_norm: "input_layernorm",
            attention_output_norm: "post_attention_layernorm",
            feed_forward_norm: "post_attention_layernorm",
            feed_forward_output_norm: "post_feedforward_layernorm",
            query: "self_attn.q_proj",
            key: "self_attn.k_proj",
            value: "self_attn.v_proj",
            query_key_value: "self_attn.qkv_proj",
            query_norm: "self_attn.q_norm",
            key_norm: "self_attn.k_norm",
            attention_output: "self_attn.o_proj",
            gate: "mlp.gate_proj",
            up: "mlp.up_proj",
            gate_up: "mlp.gate_up_proj",
            down: "mlp.down_proj",
        }
    }
}
