//! Prefill and training-step times for SmolLM2-135M's shape, f32, random weights: the cases that torch is timed on, too.
//!
//! `cargo bench -p harness-model` prints one JSON object a case, or of some: `cargo bench -p harness-model -- 1x1024`; [docs/performance.md](../../../docs/performance.md) says how to
//! read it beside torch's numbers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may panic and print"
)]

use std::time::Instant;

use candle_core::Device;
use harness_model::train::{AdamW, AdamWOptions, GradientSet, Optimizer};
use harness_model::{Decoder, DecoderSpec, KeyValueCache, PackedBatch, Weights, read_spec};
use serde_json::json;

/// As in the program: freed buffers are kept for the next operation instead of being given back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 5;
const VOCABULARY: u32 = 49_152;

fn spec() -> DecoderSpec {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": 576, "intermediate_size": 1536,
        "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "rms_norm_eps": 1e-5,
        "rope_theta": 100_000.0, "tie_word_embeddings": true, "vocab_size": VOCABULARY,
        "max_position_embeddings": 8192,
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    read_spec(folder.path()).unwrap()
}

/// `sequences` sequences of `length` tokens that share nothing.
fn batch(sequences: u32, length: u32) -> PackedBatch {
    let mut batch = PackedBatch::new();
    for sequence in 0..sequences {
        let token = |i: u32| (i * 7919 + sequence * 104_729) % VOCABULARY;
        batch.push(&(0..length).map(token).collect::<Vec<u32>>());
    }
    batch
}

/// Every next token of every sequence.
fn targets(batch: &PackedBatch) -> Vec<(usize, u32)> {
    let rows = 0..batch.len() - 1;
    let inside = rows.filter(|&row| batch.positions()[row + 1] > 0);
    inside.map(|row| (row, batch.tokens()[row + 1])).collect()
}

/// Median seconds of `work`, after one run to warm up.
fn median(mut work: impl FnMut()) -> f64 {
    work();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[RUNS / 2]
}

fn report(name: &str, tokens: usize, seconds: f64) {
    let rate = (tokens as f64 / seconds * 10.0).round() / 10.0;
    println!(
        "{}",
        json!({ "case": name, "seconds": seconds, "tokens_per_s": rate, "peak_mib": peak_mib() })
    );
}

/// The most memory this process has had, where the system tells.
fn peak_mib() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// One more token for each of some texts of 500 tokens, as generation computes it.
fn generate(decoder: &Decoder) {
    for texts in [1, 4, 8, 16, 32, 64] {
        let mut cache = KeyValueCache::default();
        let before = batch(texts, 500);
        decoder.extend(&mut cache, &before).unwrap();
        let seconds = median(|| {
            let mut next = PackedBatch::continuing(cache.rows());
            for text in 0..texts as usize {
                let path: Vec<usize> = (text * 500..(text + 1) * 500).collect();
                next.push_after(&path, &[7], 501);
            }
            let ends: Vec<usize> = (0..next.len()).collect();
            let hidden = decoder.extend(&mut cache, &next).unwrap();
            decoder.logits_of(&hidden, &ends).unwrap();
        });
        report(&format!("generate_{texts}_texts"), texts as usize, seconds);
    }
}

fn main() {
    let spec = spec();
    let weights = Weights::random(&spec, 1, &Device::Cpu).unwrap();
    let decoder = Decoder::new(spec.clone(), &weights).unwrap();
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let is_wanted = |name: &str| {
        wanted
            .as_ref()
            .is_none_or(|part| name.contains(part.as_str()))
    };
    for (sequences, length) in [(1, 512), (8, 128), (1, 1024)] {
        if !is_wanted(&format!("prefill_{sequences}x{length}")) {
            continue;
        }
        let batch = batch(sequences, length);
        let targets = targets(&batch);
        let all = median(|| {
            let hidden = decoder.hidden(&batch).unwrap();
            decoder.token_scores(&hidden, &targets, false).unwrap();
        });
        report(
            &format!("prefill_{sequences}x{length}_all"),
            batch.len(),
            all,
        );
        let last = median(|| {
            let hidden = decoder.hidden(&batch).unwrap();
            decoder
                .token_scores(&hidden, &targets[targets.len() - 1..], false)
                .unwrap();
        });
        report(
            &format!("prefill_{sequences}x{length}_last"),
            batch.len(),
            last,
        );
    }
    if is_wanted("generate") {
        generate(&decoder);
    }
    drop(decoder);
    if !is_wanted("train_4x128") {
        return;
    }
    let (weights, variables) = weights.into_trainable().unwrap();
    let decoder = Decoder::new(spec, &weights).unwrap();
    let mut gradients = GradientSet::new(&variables);
    let mut optimizer = AdamW::new(variables, AdamWOptions::default());
    let batch = batch(4, 128);
    let targets = targets(&batch);
    let mut train = |decoder: &Decoder| {
        median(|| {
            let hidden = decoder.hidden(&batch).unwrap();
            let logprobs = decoder.token_logprobs(&hidden, &targets).unwrap();
            gradients.clear();
            let loss = logprobs.mean_all().unwrap().neg().unwrap();
            gradients.add_backward(&loss).unwrap();
            optimizer.step(&gradients, 1e-5).unwrap();
        })
    };
    // First, since the memory reported is the most there has been.
    let checkpointed = decoder.clone().with_activation_checkpoints().unwrap();
    let name = "train_4x128_checkpointed";
    report(name, batch.len(), train(&checkpointed));
    report("train_4x128_all", batch.len(), train(&decoder));
}
