//! Matrices kept in their quantized blocks: the same answers as dequantized ones, from less memory, and no training.

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use harness_model::Model;

use crate::sketch::{sketch, write_directory};
use crate::{deviation, logits};

const FORMATS: [GgmlDType; 8] = [
    GgmlDType::F32,
    GgmlDType::F16,
    GgmlDType::BF16,
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
];

#[test]
fn kept_blocks_give_the_logits_of_dequantized_ones() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    let tokens: Vec<u32> = (0..40).map(|i| i * 37 % 256).collect();
    for format in FORMATS {
        sketch(&weights, format).write(&gguf);
        let dequantized = Model::open(&gguf, &Device::Cpu).unwrap();
        let kept = Model::open_quantized(&gguf, &Device::Cpu).unwrap();
        let worst = deviation(&logits(&kept, &tokens), &logits(&dequantized, &tokens));
        assert!(worst < 1e-6, "{format:?}: {worst}");
        // Seven matrices a layer are no f32 tensors any more.
        let missing = dequantized.weights.iter().count() - kept.weights.iter().count();
        assert_eq!(
            missing,
            if format == GgmlDType::F32 { 0 } else { 14 },
            "{format:?}"
        );
    }
}

#[test]
fn their_memory_is_what_the_file_holds_and_one_matrix() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    sketch(&weights, GgmlDType::Q8_0).write(&gguf);
    let bytes = Model::describe(&gguf).unwrap().quantized_bytes.unwrap();
    // Width 64, keys of 32, feed-forward 96: 34 bytes for 32 weights, the rest f32, and the widest matrix once more.
    let matrices = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64);
    let rest = 262 * 64 + 5 * 64;
    assert_eq!(bytes, matrices / 32 * 34 + 4 * rest + 4 * 96 * 64);
}

#[test]
fn what_is_kept_does_not_change_and_directories_have_nothing_to_keep() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    sketch(&weights, GgmlDType::Q4_0).write(&gguf);
    let kept = Model::open_quantized(&gguf, &Device::Cpu).unwrap();
    assert!(
        kept.weights
            .trainable()
            .unwrap_err()
            .to_string()
            .contains("compressed")
    );
    let refusal = Model::open_quantized(folder.path(), &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("GGUF"), "{refusal}");
}
