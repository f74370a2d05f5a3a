//! Gradients of every trainable weight against finite differences of the loss, on a model with every part there is.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests may panic and print"
)]

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use harness_model::{
    Attention, Decoder, DecoderSpec, FeedForward, PackedBatch, Rotary, RotaryScaling, Weights,
};

fn spec(tied_head: bool) -> DecoderSpec {
    DecoderSpec {
        family: "llama".into(),
        vocabulary: 23,
        width: 16,
        layers: 2,
        max_positions: 300,
        norm_epsilon: 1e-5,
        attention: Attention {
            heads: 4,
            kv_heads: 2,
            head_dim: 4,
            bias: true,
        },
        rotary: Rotary {
            theta: 100.0,
            scaling: RotaryScaling::None,
        },
        feed_forward: FeedForward {
            width: 20,
            bias: true,
        },
        tied_head,
    }
}

/// Weights far enough from zero that every part of the model matters.
fn weights(spec: &DecoderSpec) -> (Weights, BTreeMap<String, Var>) {
    let (weights, variables) = Weights::random(spec, 7, &Device::Cpu)
        .unwrap()
        .trainable()
        .unwrap();
    for (i, variable) in variables.values().enumerate() {
        let wave = |j: usize| ((j * 37 + i * 11) as f32 * 0.61).sin() * 0.2;
        let noise: Vec<f32> = (0..variable.elem_count()).map(wave).collect();
        let noise = Tensor::from_vec(noise, variable.shape(), &Device::Cpu).unwrap();
        variable
            .set(&(variable.affine(5.0, 0.0).unwrap() + noise).unwrap())
            .unwrap();
    }
    (weights, variables)
}

/// Sequences that share prefixes, one of them long enough for several blocks.
fn batch() -> (PackedBatch, Vec<(usize, u32)>) {
    let mut batch = PackedBatch::new();
    let mut targets = Vec::new();
    for sequence in [vec![1, 2, 3, 4], vec![1, 2, 9, 8, 7], vec![1, 5]] {
        let rows = batch.push_sharing(&sequence);
        targets.extend(rows.iter().map(|&row| (row, (row * 7 % 23) as u32)));
    }
    let long: Vec<u32> = (0..140).map(|i| i * i % 23).collect();
    targets.extend(batch.push(&long).skip(125).map(|row| (row, 3)));
    (batch, targets)
}

fn loss(decoder: &Decoder) -> Tensor {
    let (batch, targets) = batch();
    let logprobs = decoder
        .token_logprobs(&decoder.hidden(&batch).unwrap(), &targets)
        .unwrap();
    let slopes: Vec<f32> = (0..targets.len()).map(|i| (i as f32 * 0.3).cos()).collect();
    let count = slopes.len();
    (logprobs * Tensor::from_vec(slopes, count, &Device::Cpu).unwrap())
        .unwrap()
        .sum_all()
        .unwrap()
}

fn value(decoder: &Decoder) -> f64 {
    f64::from(loss(decoder).to_scalar::<f32>().unwrap())
}

#[test]
fn every_weight_has_its_gradient() {
    for tied in [true, false] {
        let spec = spec(tied);
        let (weights, variables) = weights(&spec);
        let decoder = Decoder::new(spec, &weights).unwrap();
        let gradients = loss(&decoder).backward().unwrap();
        for (name, variable) in &variables {
            let gradient = gradients
                .get(variable)
                .unwrap_or_else(|| panic!("{name} has no gradient"));
            let norm = f64::from(
                gradient
                    .sqr()
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .sqrt()
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap(),
            );
            let at = variable.as_tensor().copy().unwrap();
            let moved = |distance: f64| {
                let step = gradient.affine(distance / norm, 0.0).unwrap();
                variable.set(&(&at + step).unwrap()).unwrap();
                value(&decoder)
            };
            // Fourth-order central difference along the gradient: its length is the slope.
            let h = 5e-4;
            let slope =
                (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
            variable.set(&at).unwrap();
            // The loss is some hundred in f32, so its differences are good to about 1e-5.
            let allowed = 5e-3 * norm + 1e-5 / h;
            assert!(
                (slope - norm).abs() < allowed,
                "{name} (tied head: {tied}): slope {slope}, gradient {norm}"
            );
        }
    }
}

#[test]
fn batches_of_any_size_give_the_same_hidden_states() {
    let spec = spec(true);
    let (weights, _) = weights(&spec);
    let decoder = Decoder::new(spec, &weights).unwrap();
    let long: Vec<u32> = (0..200).map(|i| i * 3 % 23).collect();
    let last = |before: &[&[u32]]| {
        let mut batch = PackedBatch::new();
        for sequence in before {
            batch.push(sequence);
        }
        let rows = batch.push(&long);
        decoder
            .hidden(&batch)
            .unwrap()
            .narrow(0, rows.start, rows.len())
            .unwrap()
    };
    let (alone, accompanied) = (last(&[]), last(&[&[4, 5, 6], &[7; 130]]));
    let difference = (alone - accompanied)
        .unwrap()
        .abs()
        .unwrap()
        .max_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    assert!(difference < 1e-5, "{difference}");
}
