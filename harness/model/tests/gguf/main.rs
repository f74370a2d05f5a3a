//! GGUF files: tiny ones that the test writes beside the model directory that they must equal, SmolLM2, and those of every family
//! that a Python script writes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

mod families;
mod kept;
mod sketch;
mod smollm2;
mod transformers;
mod vocabularies;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use harness_model::{Model, PackedBatch, read_spec, write_model_files};

use sketch::{Sketch, sketch, texts, write_directory};

fn logits(model: &Model, tokens: &[u32]) -> Vec<Vec<f32>> {
    let decoder = model.decoder().unwrap();
    let mut batch = PackedBatch::new();
    batch.push(tokens);
    let hidden = decoder.hidden(&batch).unwrap();
    decoder.logits(&hidden).unwrap().to_vec2().unwrap()
}

/// Largest difference, relative to the largest value.
fn deviation(got: &[Vec<f32>], want: &[Vec<f32>]) -> f32 {
    let pairs = || got.iter().flatten().zip(want.iter().flatten());
    let scale = pairs().fold(0.0, |scale: f32, (_, want)| scale.max(want.abs()));
    pairs().fold(0.0, |worst: f32, (got, want)| worst.max((got - want).abs())) / scale
}

#[test]
fn the_same_weights_give_the_same_logits_and_the_written_model_too() {
    for tied in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let weights = write_directory(folder.path(), tied);
        let gguf = folder.path().join("model.gguf");
        sketch(&weights, GgmlDType::F32).write(&gguf);
        let model = Model::open(&gguf, &Device::Cpu).unwrap();
        for (name, tensor) in weights.iter() {
            let got = model.weights.get(name).unwrap().flatten_all().unwrap();
            let want = tensor.flatten_all().unwrap();
            assert_eq!(
                got.to_vec1::<f32>().unwrap(),
                want.to_vec1::<f32>().unwrap(),
                "{name}"
            );
        }
        let spec = read_spec(folder.path()).unwrap();
        assert_eq!(model.spec, spec);
        let written = tempfile::tempdir().unwrap();
        write_model_files(written.path(), &model.source, &model.weights).unwrap();
        let again = Model::open(written.path(), &Device::Cpu).unwrap();
        assert_eq!(again.spec, spec);
        let tokens = model.tokenizer.encode("hello <user>12<s>").unwrap();
        assert_eq!(again.tokenizer.encode("hello <user>12<s>").unwrap(), tokens);
        assert_eq!(logits(&again, &tokens), logits(&model, &tokens));
        assert_eq!(again.tokenizer.eos_tokens(), [260, 261]);
        assert_eq!(again.tokenizer.chat_template(), Some("{{ messages }}"));
    }
}

#[test]
fn quantized_weights_are_dequantized() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    let tokens: Vec<u32> = (0..40).map(|i| i * 37 % 256).collect();
    let mut exact = Model::open(
        &{
            sketch(&weights, GgmlDType::F32).write(&gguf);
            gguf.clone()
        },
        &Device::Cpu,
    )
    .unwrap();
    exact.weights = weights.clone();
    let want = logits(&exact, &tokens);
    for (dtype, tolerance) in [
        (GgmlDType::F16, 2e-3),
        (GgmlDType::Q8_0, 5e-2),
        (GgmlDType::Q4_1, 0.5),
    ] {
        sketch(&weights, dtype).write(&gguf);
        let model = Model::open(&gguf, &Device::Cpu).unwrap();
        assert!(
            model
                .weights
                .iter()
                .all(|(_, tensor)| tensor.dtype() == DType::F32)
        );
        let worst = deviation(&logits(&model, &tokens), &want);
        eprintln!("{dtype:?}: {worst:.1e}");
        assert!(worst > 0.0 && worst < tolerance, "{dtype:?}: {worst}");
    }
}

#[test]
fn words_are_cut_as_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    let encode = |sketch: &Sketch, text: &str| {
        sketch.write(&gguf);
        let tokenizer = Model::describe(&gguf).unwrap().tokenizer;
        let ids = tokenizer.encode(text).unwrap();
        let shown: Vec<String> = ids.iter().map(|&id| tokenizer.token(id).unwrap()).collect();
        shown.join("|")
    };
    let with = |pre: &str| {
        sketch(&weights, GgmlDType::F32).set("tokenizer.ggml.pre", Value::String(pre.into()))
    };
    assert_eq!(encode(&with("smollm"), "hello 12"), "hell|o|Ġ|1|2");
    assert_eq!(encode(&with("gpt-2"), "hello 12"), "hell|o|Ġ|12");
    // Three digits go alone, two stay together; Llama 3 begins a text with BOS unless the file says no.
    assert_eq!(encode(&with("default"), "hello 12123"), "hell|o|Ġ|12|1|2|3");
    assert_eq!(
        encode(&with("llama-bpe"), "hello 1212"),
        "<s>|hell|o|Ġ|12|1|2"
    );
    let bare = with("llama-bpe").set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    assert_eq!(encode(&bare, "he"), "he");
    let both = with("gpt-2")
        .set("tokenizer.ggml.add_bos_token", Value::Bool(true))
        .set("tokenizer.ggml.add_eos_token", Value::Bool(true));
    assert_eq!(encode(&both, "he"), "<s>|he|<s>");
    assert_eq!(encode(&with("smollm"), "he<user>ll"), "he|<user>|ll");
}

#[test]
fn divisors_of_frequencies_are_llama_3s_or_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    // The formula of Llama 3.1's model card, by wavelengths in tokens.
    let divisor = |plane: usize| {
        let wavelength = std::f64::consts::TAU * 5000_f64.powf(plane as f64 / 8.0);
        if wavelength < 8192.0 / 4.0 {
            1.0
        } else if wavelength > 8192.0 {
            32.0
        } else {
            let kept = (8192.0 / wavelength - 1.0) / 3.0;
            1.0 / ((1.0 - kept) / 32.0 + kept)
        }
    };
    let mut divisors: Vec<f32> = (0..8).map(|plane| divisor(plane) as f32).collect();
    assert!(divisors.iter().any(|&x| x > 1.0 && x < 32.0) && divisors[7] > 31.9);
    let with = |divisors: &[f32]| {
        let mut sketch = sketch(&weights, GgmlDType::F32);
        let tensor = Tensor::new(divisors, &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&tensor, GgmlDType::F32).unwrap();
        sketch.tensors.push(("rope_freqs.weight".into(), tensor));
        sketch
    };
    let gguf = folder.path().join("model.gguf");
    with(&divisors).write(&gguf);
    let spec = Model::open(&gguf, &Device::Cpu).unwrap().spec;
    let file = folder.path().join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["rope_scaling"] = serde_json::json!({
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    std::fs::write(&file, config.to_string()).unwrap();
    assert_eq!(spec, read_spec(folder.path()).unwrap());
    divisors[5] *= 1.01;
    with(&divisors).write(&gguf);
    let spec = Model::open(&gguf, &Device::Cpu).unwrap().spec;
    let stretched = spec.layers[0]
        .rotary
        .as_ref()
        .unwrap()
        .inverse_frequencies(false);
    for (plane, (got, divisor)) in stretched.iter().zip(&divisors).enumerate() {
        let want = 5000_f64.powf(-(plane as f64) / 8.0) / f64::from(*divisor);
        assert!((f64::from(*got) / want - 1.0).abs() < 1e-6, "{plane}");
    }
    assert!(with(&divisors[..7]).refusal().contains("factor"));
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of mistakes")]
fn what_cannot_be_read_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let text = |text: &str| Value::String(text.to_owned());
    let cases = [
        ("general.architecture", text("mamba"), "mamba"),
        (
            "llama.attention.sliding_window",
            Value::U32(64),
            "llama.attention.sliding_window: 64",
        ),
        ("llama.expert_count", Value::U32(8), "llama.expert_count: 8"),
        (
            "llama.rope.dimension_count",
            Value::U32(8),
            "llama.rope.dimension_count: 8",
        ),
        ("llama.rope.scaling.type", text("yarn"), "yarn"),
        (
            "llama.attention.head_count",
            text("four"),
            "llama.attention.head_count must be",
        ),
        (
            "llama.attention.head_count",
            Value::U32(0),
            "llama.attention.head_count must be positive",
        ),
        ("llama.block_count", Value::U32(3), "blk.2."),
        ("llama.block_count", Value::U32(1), "blk.1."),
        ("llama.feed_forward_length", Value::U32(97), "97"),
        (
            "tokenizer.ggml.model",
            text("t5"),
            "tokenizer.ggml.model: \"t5\"",
        ),
        (
            "tokenizer.ggml.pre",
            text("tekken"),
            "tokenizer.ggml.pre: \"tekken\"",
        ),
        (
            "tokenizer.ggml.bos_token_id",
            Value::U32(900),
            "tokenizer.ggml.bos_token_id must be below 262",
        ),
        ("tokenizer.ggml.merges", texts(&["x yz"]), "tokenizer"),
        (
            "tokenizer.ggml.token_type",
            texts(&["a"]),
            "tokenizer.ggml.token_type must be",
        ),
        ("general.alignment", Value::U32(0), "GGUF header"),
    ];
    for (key, value, part) in cases {
        let refusal = sketch(&weights, GgmlDType::F32).set(key, value).refusal();
        assert!(
            refusal.contains(part) && refusal.contains("model.gguf"),
            "{key}: {refusal}"
        );
    }
    for key in [
        "llama.context_length",
        "tokenizer.ggml.tokens",
        "general.architecture",
    ] {
        let refusal = sketch(&weights, GgmlDType::F32).without(key).refusal();
        assert!(
            refusal.contains(key) && refusal.contains("missing"),
            "{key}: {refusal}"
        );
    }
    let mut strange = sketch(&weights, GgmlDType::F32);
    strange.tensors.push((
        "blk.0.ffn_gate_exps.weight".into(),
        QTensor::quantize(
            &Tensor::ones(32, DType::F32, &Device::Cpu).unwrap(),
            GgmlDType::F32,
        )
        .unwrap(),
    ));
    assert!(strange.refusal().contains("ffn_gate_exps"));
}

#[test]
fn damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    sketch(&weights, GgmlDType::F32).write(&gguf);
    let bytes = std::fs::read(&gguf).unwrap();
    for length in [0, 3, 8, 100, 2000, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&gguf, &bytes[..length]).unwrap();
        let refusal = Model::open(&gguf, &Device::Cpu).unwrap_err().to_string();
        assert!(refusal.contains("model.gguf"), "{length}: {refusal}");
    }
}
