//! GGUF files on the command line, with their matrices dequantized or kept as they are stored.

use candle_core::Device;
use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};

use crate::world::World;

const NAMES: [(&str, &str); 12] = [
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
];

/// `model/model.gguf` of the directory's weights in f16, beside the directory's tokenizer.json.
fn write_gguf(world: &World) {
    let stored =
        candle_core::safetensors::load(world.path("model/model.safetensors"), &Device::Cpu);
    let tensors = stored.unwrap().into_iter().map(|(name, tensor)| {
        let name = NAMES
            .iter()
            .fold(name, |name, (ours, theirs)| name.replace(ours, theirs));
        let dtype = if tensor.rank() == 1 {
            GgmlDType::F32
        } else {
            GgmlDType::F16
        };
        (name, QTensor::quantize(&tensor, dtype).unwrap())
    });
    let tensors: Vec<(String, QTensor)> = tensors.collect();
    let tensors: Vec<(&str, &QTensor)> = (tensors.iter())
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let counts = [
        ("llama.attention.head_count", 2),
        ("llama.attention.head_count_kv", 1),
        ("llama.block_count", 2),
        ("llama.context_length", 512),
        ("llama.embedding_length", 16),
        ("llama.feed_forward_length", 24),
        ("tokenizer.ggml.bos_token_id", 256),
        ("tokenizer.ggml.eos_token_id", 256),
    ];
    let mut metadata: Vec<(&str, Value)> =
        counts.map(|(key, count)| (key, Value::U32(count))).into();
    metadata.push(("general.architecture", Value::String("llama".into())));
    metadata.push(("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)));
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let mut file = std::fs::File::create(world.path("model/model.gguf")).unwrap();
    write(&mut file, &metadata, &tensors).unwrap();
}

#[test]
fn kept_matrices_give_the_same_table() {
    let world = World::new();
    write_gguf(&world);
    let eval = [
        "eval",
        "--model",
        "model/model.gguf",
        "--tasks",
        "tasks/choices.yaml",
    ];
    let dequantized = world.succeeds(&eval).stdout;
    assert!(dequantized.contains("|choices|"), "{dequantized}");
    let kept = world
        .succeeds(&[&eval[..], &["--keep_quantized"]].concat())
        .stdout;
    assert_eq!(kept, dequantized);
}

#[test]
fn both_memories_are_shown() {
    let world = World::new();
    write_gguf(&world);
    let show = |arguments: &[&str]| {
        let outcome = world.succeeds(&[&["model", "show"], arguments].concat());
        serde_json::from_str::<serde_json::Value>(&outcome.stdout)
    };
    let memory = &show(&["model/model.gguf", "--json"]).unwrap()["memory"];
    let bytes = |key: &str| memory[key].as_u64().unwrap();
    assert!(bytes("eval_quantized_bytes") < bytes("eval_bytes"));
    let memory = &show(&["model", "--json"]).unwrap()["memory"];
    assert!(memory["eval_quantized_bytes"].is_null());
    let table = world
        .succeeds(&["model", "show", "model/model.gguf"])
        .stdout;
    assert!(table.contains("with --keep-quantized"), "{table}");
}

#[test]
fn a_directory_has_nothing_to_keep() {
    let world = World::new();
    for model in ["model", "organisation/name"] {
        world.fails(
            2,
            &[
                "eval",
                "--model",
                model,
                "--tasks",
                "tasks/choices.yaml",
                "--keep-quantized",
            ],
            &["--keep-quantized", "GGUF", model],
        );
    }
}
