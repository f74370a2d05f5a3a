//! A tiny GGUF file in the making, and the model directory of the same weights.

use std::path::Path;

use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use harness_model::{Model, Weights, read_spec};
use serde_json::json;

pub(crate) const HEADS: usize = 4;
pub(crate) const KV_HEADS: usize = 2;
pub(crate) const HEAD_DIM: usize = 16;

/// A GGUF file in the making.
pub(crate) struct Sketch {
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<(String, QTensor)>,
}

impl Sketch {
    pub(crate) fn set(mut self, key: &str, value: Value) -> Self {
        self.metadata.retain(|(name, _)| name != key);
        self.metadata.push((key.to_owned(), value));
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|(name, _)| name != key);
        self
    }

    pub(crate) fn write(&self, path: &Path) {
        let metadata: Vec<(&str, &Value)> = (self.metadata.iter())
            .map(|(key, value)| (key.as_str(), value))
            .collect();
        let tensors: Vec<(&str, &QTensor)> = (self.tensors.iter())
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        write(
            &mut std::fs::File::create(path).unwrap(),
            &metadata,
            &tensors,
        )
        .unwrap();
    }

    /// The error of opening it.
    pub(crate) fn refusal(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        self.write(&path);
        Model::open(&path, &Device::Cpu).unwrap_err().to_string()
    }
}

/// A Llama with random weights as a directory.
pub(crate) fn write_directory(directory: &Path, tied: bool) -> Weights {
    let config = json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": HEADS * HEAD_DIM, "intermediate_size": 96,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "num_hidden_layers": 2,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 5000.0,
        "tie_word_embeddings": tied, "vocab_size": tokens().len(), "torch_dtype": "float32",
    });
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
    let spec = read_spec(directory).unwrap();
    // Norms other than one, so that a norm in the wrong place shows.
    let random = Weights::random(&spec, 7, &Device::Cpu).unwrap();
    let tensors = random.iter().map(|(name, tensor)| {
        let scale = if tensor.rank() == 1 {
            name.len() as f64 / 40.0
        } else {
            5.0
        };
        (name.to_owned(), (tensor * scale).unwrap())
    });
    let tensors: std::collections::HashMap<String, Tensor> = tensors.collect();
    let file = directory.join("model.safetensors");
    candle_core::safetensors::save(&tensors, &file).unwrap();
    Weights::read(directory, &spec, &Device::Cpu).unwrap()
}

/// GPT-2's stand-ins for the 256 bytes, three merged tokens, a control and a user-defined token.
pub(crate) fn tokens() -> Vec<String> {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 255;
    let mut tokens: Vec<String> = (0..256_u32)
        .map(|byte| {
            next += u32::from(!printable(byte));
            let code = if printable(byte) { byte } else { next };
            char::from_u32(code).unwrap().to_string()
        })
        .collect();
    for token in ["he", "ll", "hell", "12", "<s>", "<user>"] {
        tokens.push(token.to_owned());
    }
    tokens
}

pub(crate) fn texts(values: &[&str]) -> Value {
    let texts = values.iter().map(|text| Value::String((*text).to_owned()));
    Value::Array(texts.collect())
}

/// Where row `row` of a q or k projection lies in llama.cpp's order: the halves of each head interleaved.
pub(crate) fn interleaved(row: usize) -> usize {
    let (head, within) = (row / HEAD_DIM, row % HEAD_DIM);
    let (half, plane) = (within / (HEAD_DIM / 2), within % (HEAD_DIM / 2));
    head * HEAD_DIM + 2 * plane + half
}

/// llama.cpp's name of a weight.
fn renamed(name: &str) -> String {
    let names = [
        ("model.layers", "blk"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
    ];
    names.iter().fold(name.to_owned(), |name, (ours, theirs)| {
        name.replace(ours, theirs)
    })
}

/// The weights as llama.cpp stores them, matrices in `dtype`.
fn stored(weights: &Weights, dtype: GgmlDType) -> Vec<(String, QTensor)> {
    let tensors = weights.iter().map(|(name, tensor)| {
        let mut tensor = tensor.clone();
        if name.contains("q_proj") || name.contains("k_proj") {
            let rows = tensor.to_vec2::<f32>().unwrap();
            let mut moved = rows.clone();
            for (i, row) in rows.into_iter().enumerate() {
                moved[interleaved(i)] = row;
            }
            tensor = Tensor::new(moved, &Device::Cpu).unwrap();
        }
        let dtype = if tensor.rank() == 1 {
            GgmlDType::F32
        } else {
            dtype
        };
        (renamed(name), QTensor::quantize(&tensor, dtype).unwrap())
    });
    tensors.collect()
}

/// A file of these weights, matrices in `dtype`.
pub(crate) fn sketch(weights: &Weights, dtype: GgmlDType) -> Sketch {
    let sketch = Sketch {
        metadata: Vec::new(),
        tensors: stored(weights, dtype),
    }
    .set("general.architecture", Value::String("llama".into()))
    .set("llama.attention.head_count", Value::U32(HEADS as u32))
    .set("llama.attention.head_count_kv", Value::U32(KV_HEADS as u32))
    .set("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5))
    .set("llama.block_count", Value::U32(2))
    .set("llama.context_length", Value::U32(128))
    .set(
        "llama.embedding_length",
        Value::U32((HEADS * HEAD_DIM) as u32),
    )
    .set("llama.feed_forward_length", Value::U32(96))
    .set("llama.rope.dimension_count", Value::U32(HEAD_DIM as u32))
    .set("llama.rope.freq_base", Value::F32(5000.0));
    with_tokenizer(sketch)
}

/// The tokens of [`tokens`] as a byte-level vocabulary.
pub(crate) fn with_tokenizer(sketch: Sketch) -> Sketch {
    let tokens = tokens();
    let kinds = (0..tokens.len()).map(|id| Value::I32([1, 3, 4][id.saturating_sub(259).min(2)]));
    let kinds = Value::Array(kinds.collect());
    let words: Vec<&str> = tokens.iter().map(String::as_str).collect();
    sketch
        .set("tokenizer.ggml.model", Value::String("gpt2".into()))
        .set("tokenizer.ggml.pre", Value::String("smollm".into()))
        .set("tokenizer.ggml.tokens", texts(&words))
        .set("tokenizer.ggml.token_type", kinds)
        .set(
            "tokenizer.ggml.merges",
            texts(&["h e", "l l", "he ll", "1 2"]),
        )
        .set("tokenizer.ggml.bos_token_id", Value::U32(260))
        .set("tokenizer.ggml.eos_token_id", Value::U32(260))
        .set("tokenizer.ggml.eot_token_id", Value::U32(261))
        .set(
            "tokenizer.chat_template",
            Value::String("{{ messages }}".into()),
        )
}
