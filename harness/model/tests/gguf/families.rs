//! Families whose rows, layouts or norms llama.cpp changes, with random weights: the file must give what the directory gives,
//! and its blocks what their dequantized numbers give.

use std::path::Path;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use harness_model::{Decoder, DecoderSpec, Model, PackedBatch, Weights, read_spec};
use serde_json::{Value as Json, json};

use crate::sketch::{Sketch, tokens, with_tokenizer};
use crate::{deviation, logits};

/// Width 64, four heads, two layers, feed-forward 96.
struct Family {
    architecture: &'static str,
    config: Json,
    /// Keys below the architecture's name besides the sizes.
    metadata: Vec<(&'static str, Value)>,
    /// Parts of names: Hugging Face's, llama.cpp's.
    names: &'static [(&'static str, &'static str)],
    /// What llama.cpp's converter does to a weight.
    converted: fn(&str, &Tensor) -> Tensor,
}

const LLAMA_NAMES: [(&str, &str); 13] = [
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
const GEMMA_NAMES: [(&str, &str); 13] = [
    ("model.layers", "blk"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("model.", ""),
];
const GPT2_NAMES: [(&str, &str); 9] = [
    ("transformer.h", "blk"),
    ("ln_1", "attn_norm"),
    ("ln_2", "ffn_norm"),
    ("attn.c_attn", "attn_qkv"),
    ("attn.c_proj", "attn_output"),
    ("mlp.c_fc", "ffn_up"),
    ("mlp.c_proj", "ffn_down"),
    ("transformer.wte", "token_embd"),
    ("transformer.wpe", "position_embd"),
];
const GPT_NEOX_NAMES: [(&str, &str); 9] = [
    ("gpt_neox.layers", "blk"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("attention.query_key_value", "attn_qkv"),
    ("attention.dense", "attn_output"),
    ("mlp.dense_h_to_4h", "ffn_up"),
    ("mlp.dense_4h_to_h", "ffn_down"),
    ("gpt_neox.embed_in", "token_embd"),
    ("embed_out", "output"),
];

#[allow(clippy::too_many_lines, reason = "a table of families")]
fn families() -> Vec<Family> {
    let llama_like = |model_type: &str, more: Json| {
        let mut config = json!({
            "model_type": model_type, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-6,
            "rope_theta": 5000.0, "head_dim": 16, "vocab_size": tokens().len(), "tie_word_embeddings": true,
        });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        config
    };
    vec![
        Family {
            architecture: "qwen2",
            config: llama_like("qwen2", json!({ "hidden_act": "silu" })),
            metadata: vec![
                ("attention.head_count_kv", Value::U32(2)),
                ("attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
                ("rope.freq_base", Value::F32(5000.0)),
            ],
            names: &LLAMA_NAMES,
            converted: |_, weight| weight.clone(),
        },
        Family {
            architecture: "gemma2",
            config: llama_like(
                "gemma2",
                json!({ "query_pre_attn_scalar": 16, "sliding_window": 8, "final_logit_softcapping": 20.0,
                    "attn_logit_softcapping": 40.0 }),
            ),
            metadata: vec![
                ("attention.head_count_kv", Value::U32(2)),
                ("attention.key_length", Value::U32(16)),
                ("attention.value_length", Value::U32(16)),
                ("attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
                ("attention.sliding_window", Value::U32(8)),
                ("attention.sliding_window_pattern", Value::U32(2)),
                ("attn_logit_softcapping", Value::F32(40.0)),
                ("final_logit_softcapping", Value::F32(20.0)),
                ("rope.freq_base", Value::F32(5000.0)),
            ],
            names: &GEMMA_NAMES,
            converted: |_, weight| {
                if weight.rank() == 1 {
                    (weight + 1.0).unwrap()
                } else {
                    weight.clone()
                }
            },
        },
        Family {
            architecture: "gpt2",
            config: json!({ "model_type": "gpt2", "n_embd": 64, "n_inner": 96, "n_layer": 2, "n_head": 4, "n_positions": 128,
                "layer_norm_epsilon": 1e-5, "vocab_size": tokens().len() }),
            metadata: vec![("attention.layer_norm_epsilon", Value::F32(1e-5))],
            names: &GPT2_NAMES,
            converted: |name, weight| {
                let outputs_last = name.contains(".c_") && weight.rank() == 2;
                if outputs_last {
                    weight.t().unwrap().contiguous().unwrap()
                } else {
                    weight.clone()
                }
            },
        },
        Family {
            architecture: "gptneox",
            config: json!({ "model_type": "gpt_neox", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
                "num_attention_heads": 4, "max_position_embeddings": 128, "layer_norm_eps": 1e-5, "hidden_act": "gelu",
                "rotary_pct": 0.25, "use_parallel_residual": true, "vocab_size": tokens().len() }),
            metadata: vec![
                ("attention.layer_norm_epsilon", Value::F32(1e-5)),
                ("rope.dimension_count", Value::U32(4)),
                ("use_parallel_residual", Value::Bool(true)),
            ],
            names: &GPT_NEOX_NAMES,
            converted: |name, weight| {
                if !name.contains("query_key_value") {
                    return weight.clone();
                }
                // Per head query, key and value of 16 rows → all queries, all keys, all values.
                let inner = weight.elem_count() / (4 * 3 * 16);
                let heads = weight.reshape((4, 3, 16, inner)).unwrap();
                let parts = heads.transpose(0, 1).unwrap().contiguous().unwrap();
                parts.reshape(weight.dims()).unwrap()
            },
        },
    ]
}

impl Family {
    fn write_directory(&self, directory: &Path) -> (DecoderSpec, Weights) {
        std::fs::write(directory.join("config.json"), self.config.to_string()).unwrap();
        let spec = read_spec(directory).unwrap();
        let random = Weights::random(&spec, 7, &Device::Cpu).unwrap();
        let tensors = random.iter().enumerate().map(|(i, (name, tensor))| {
            // Norms and biases other than one and zero, so that one in the wrong place shows.
            let wave = (Tensor::arange(0_f32, tensor.elem_count() as f32, &Device::Cpu).unwrap()
                + i as f64)
                .unwrap();
            let wave = (wave.sin().unwrap() * 0.3)
                .unwrap()
                .reshape(tensor.shape())
                .unwrap();
            let tensor = if tensor.rank() == 1 {
                (tensor + wave).unwrap()
            } else {
                (tensor * 5.0).unwrap()
            };
            (name.to_owned(), tensor)
        });
        let tensors: std::collections::HashMap<String, Tensor> = tensors.collect();
        candle_core::safetensors::save(&tensors, directory.join("model.safetensors")).unwrap();
        (
            spec.clone(),
            Weights::read(directory, &spec, &Device::Cpu).unwrap(),
        )
    }

    fn stored_name(&self, name: &str) -> String {
        let top = [
            ("model.embed_tokens", "token_embd"),
            ("model.norm", "output_norm"),
            ("transformer.ln_f", "output_norm"),
            ("gpt_neox.final_layer_norm", "output_norm"),
        ];
        let names = top.iter().chain(self.names);
        names.fold(name.to_owned(), |name, (ours, theirs)| {
            name.replace(ours, theirs)
        })
    }

    fn sketch(&self, weights: &Weights, dtype: GgmlDType) -> Sketch {
        let tensors = weights.iter().map(|(name, weight)| {
            let converted = (self.converted)(name, weight);
            let dtype = if converted.rank() == 1 {
                GgmlDType::F32
            } else {
                dtype
            };
            (
                self.stored_name(name),
                QTensor::quantize(&converted, dtype).unwrap(),
            )
        });
        let sketch = Sketch {
            metadata: Vec::new(),
            tensors: tensors.collect(),
        };
        let sizes = [
            ("attention.head_count", 4),
            ("block_count", 2),
            ("context_length", 128),
            ("embedding_length", 64),
            ("feed_forward_length", 96),
        ];
        let sizes = sizes.map(|(key, size)| (key, Value::U32(size)));
        let own = self.metadata.iter().cloned().chain(sizes);
        let sketch = sketch.set(
            "general.architecture",
            Value::String(self.architecture.into()),
        );
        let sketch = own.fold(sketch, |sketch, (key, value)| {
            sketch.set(&format!("{}.{key}", self.architecture), value)
        });
        with_tokenizer(sketch)
    }
}

#[test]
fn the_file_gives_what_the_directory_gives() {
    let text: Vec<u32> = (0..40).map(|i| i * 37 % 256).collect();
    for family in families() {
        let name = family.architecture;
        let folder = tempfile::tempdir().unwrap();
        let (spec, weights) = family.write_directory(folder.path());
        let gguf = folder.path().join("model.gguf");
        family.sketch(&weights, GgmlDType::F32).write(&gguf);
        let model = Model::open(&gguf, &Device::Cpu).unwrap();
        assert_eq!(model.spec, spec, "{name}");
        let decoder = Decoder::new(spec, &weights).unwrap();
        let mut batch = PackedBatch::new();
        batch.push(&text);
        let want = decoder.logits(&decoder.hidden(&batch).unwrap()).unwrap();
        assert_eq!(want.dtype(), DType::F32);
        let worst = deviation(&logits(&model, &text), &want.to_vec2().unwrap());
        assert!(worst < 1e-5, "{name}: {worst}");
    }
}

#[test]
fn blocks_move_with_their_rows() {
    let text: Vec<u32> = (0..40).map(|i| i * 37 % 256).collect();
    for family in families() {
        let folder = tempfile::tempdir().unwrap();
        let (_, weights) = family.write_directory(folder.path());
        let gguf = folder.path().join("model.gguf");
        for dtype in [GgmlDType::Q8_0, GgmlDType::Q4_1] {
            family.sketch(&weights, dtype).write(&gguf);
            let dequantized = Model::open(&gguf, &Device::Cpu).unwrap();
            let kept = Model::open_quantized(&gguf, &Device::Cpu).unwrap();
            assert!(kept.weights.iter().count() < dequantized.weights.iter().count());
            let worst = deviation(&logits(&kept, &text), &logits(&dequantized, &text));
            assert!(worst < 1e-5, "{} {dtype:?}: {worst}", family.architecture);
        }
    }
}

#[test]
fn what_a_family_has_no_word_for_is_refused() {
    for family in families() {
        let folder = tempfile::tempdir().unwrap();
        let (_, weights) = family.write_directory(folder.path());
        let key = format!("{}.attention.scale", family.architecture);
        let refusal = family
            .sketch(&weights, GgmlDType::F32)
            .set(&key, Value::F32(0.5))
            .refusal();
        assert!(refusal.contains(&key), "{refusal}");
        let mut unused = family.sketch(&weights, GgmlDType::F32);
        let ones = Tensor::ones(32, DType::F32, &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&ones, GgmlDType::F32).unwrap();
        unused.tensors.push(("rope_freqs.weight".into(), tensor));
        assert!(
            unused.refusal().contains("rope_freqs.weight"),
            "{}",
            family.architecture
        );
    }
}
