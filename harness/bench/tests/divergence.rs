//! The divergence of two models against the definition, computed from all logits. `HARNESS_MODELS` names the models.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::path::{Path, PathBuf};

use candle_core::Device;
use harness_bench::divergence_from_original;
use harness_model::train::TokenizedPair;
use harness_model::{Decoder, Model, PackedBatch};

fn models() -> Option<[Decoder; 2]> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let folder = std::env::var_os("HARNESS_MODELS").map_or(default, PathBuf::from);
    let stored = folder.join("llama");
    if !stored.is_dir() {
        eprintln!("SKIPPED: no {} (set HARNESS_MODELS)", stored.display());
        return None;
    }
    let model = Model::open(&stored, &Device::Cpu).unwrap();
    let (moved, variables) = model.weights.trainable().unwrap();
    for variable in variables.values() {
        let larger = variable.affine(1.02, 0.0).unwrap();
        variable.set(&larger).unwrap();
    }
    let moved = Decoder::new(model.spec.clone(), &moved).unwrap();
    Some([model.decoder().unwrap(), moved])
}

/// log-softmax of the logits after each input token.
fn distributions(decoder: &Decoder, input: &[u32]) -> Vec<Vec<f64>> {
    let mut batch = PackedBatch::default();
    batch.push(input);
    let hidden = decoder.hidden(&batch).unwrap();
    let logits = decoder.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
    let normalised = |row: Vec<f32>| {
        let row: Vec<f64> = row.into_iter().map(f64::from).collect();
        let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
        row.iter().map(|logit| logit - sum.ln()).collect()
    };
    logits.into_iter().map(normalised).collect()
}

#[test]
fn the_divergence_is_the_mean_over_answer_tokens() {
    let Some([original, moved]) = models() else {
        return;
    };
    let pair = |prompt: std::ops::Range<u32>, answer: std::ops::Range<u32>| TokenizedPair {
        prompt: prompt.collect(),
        answer: answer.collect(),
    };
    let pairs = [pair(3..9, 20..31), pair(40..41, 5..8), pair(7..20, 60..90)];
    let pairs = [&pairs[..], &pairs[..2]].concat();
    let (mut total, mut tokens) = (0.0, 0);
    for pair in &pairs {
        let input = pair.input();
        let [p, q] = [&original, &moved].map(|decoder| distributions(decoder, &input));
        for row in pair.prompt.len() - 1..input.len() {
            let terms = p[row].iter().zip(&q[row]);
            total += terms.map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
            tokens += 1;
        }
    }
    let want = total / f64::from(tokens);
    let got = divergence_from_original(&original, &moved, &pairs).unwrap();
    assert!(want > 1e-4, "the models differ: {want}");
    assert!(
        (got.value - want).abs() < 1e-3 * want + 2e-6,
        "{got:?} for {want}"
    );
    assert!(got.stderr.is_some());
    let same = divergence_from_original(&original, &original, &pairs).unwrap();
    assert!(same.value.abs() < 1e-5, "{same:?}");
    assert!(divergence_from_original(&original, &moved, &[]).is_err());
}
