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
    Activation, Attention, Decoder, DecoderSpec, Embedding, FeedForward, Gating, Head, Layer,
    LearnedPositions, Norm, NormKind, PackedBatch, QueryKeyNorm, QueryKeyValue, Rotary,
    RotaryScaling, WeightLayout, WeightNames, Weights, Wiring,
};

const VOCABULARY: usize = 23;

/// A Llama with biases.
fn llama() -> DecoderSpec {
    let rotary = Rotary {
        dimensions: 4,
        theta: 100.0,
        scaling: RotaryScaling::None,
    };
    let layer = Layer {
        window: None,
        rotary: Some(rotary),
    };
    DecoderSpec {
        family: "llama".into(),
        vocabulary: VOCABULARY,
        width: 16,
        max_positions: 300,
        embedding: Embedding {
            width: 16,
            scale: None,
            positions: None,
        },
        norm: Norm {
            kind: NormKind::Rms,
            epsilon: 1e-5,
        },
        final_norm: true,
        wiring: Wiring::PreNorm,
        attention: Attention {
            heads: 4,
            kv_heads: 2,
            head_dim: 4,
            projections: QueryKeyValue::Separate,
            input_bias: true,
            output_bias: true,
            query_key_norm: None,
            scale: 0.5,
            soft_cap: None,
        },
        feed_forward: FeedForward {
            width: 20,
            activation: Activation::Silu,
            gating: Gating::Separate,
            bias: true,
        },
        layers: vec![layer; 2],
        head: Head {
            tied: true,
            bias: false,
            soft_cap: None,
        },
        weight_layout: WeightLayout::OutputsInputs,
        names: WeightNames::llama(),
    }
}

fn with(change: impl FnOnce(&mut DecoderSpec)) -> DecoderSpec {
    let mut spec = llama();
    change(&mut spec);
    spec
}

/// Models that together have every part there is.
fn specs() -> Vec<(&'static str, DecoderSpec)> {
    let mut specs = vec![("tied head", llama())];
    specs.extend(with_layer_norm());
    specs.extend(with_rms_norm());
    specs
}

fn with_layer_norm() -> Vec<(&'static str, DecoderSpec)> {
    vec![
        (
            "parallel, own head with bias, partial rotation, GELU",
            with(|spec| {
                spec.wiring = Wiring::ParallelOneNorm;
                spec.norm.kind = NormKind::Layer;
                spec.head = Head {
                    tied: false,
                    bias: true,
                    soft_cap: None,
                };
                spec.layers
                    .iter_mut()
                    .for_each(|layer| layer.rotary.as_mut().unwrap().dimensions = 2);
                spec.feed_forward.gating = Gating::None;
                spec.feed_forward.activation = Activation::Gelu;
            }),
        ),
        (
            "parallel with two norms, fused by head",
            with(|spec| {
                spec.wiring = Wiring::ParallelTwoNorms;
                spec.norm.kind = NormKind::Layer;
                spec.attention.projections = QueryKeyValue::FusedByHead;
                spec.feed_forward.activation = Activation::Gelu;
            }),
        ),
        (
            "learned positions, narrow embedding, post-norm",
            with(|spec| {
                spec.wiring = Wiring::PostNorm;
                spec.norm.kind = NormKind::Layer;
                spec.final_norm = false;
                spec.layers.iter_mut().for_each(|layer| layer.rotary = None);
                spec.embedding = Embedding {
                    width: 12,
                    scale: None,
                    positions: Some(LearnedPositions { offset: 2 }),
                };
                spec.feed_forward.gating = Gating::None;
                spec.feed_forward.activation = Activation::Relu;
            }),
        ),
    ]
}

fn with_rms_norm() -> Vec<(&'static str, DecoderSpec)> {
    vec![
        (
            "sandwich norms with unit offset, soft caps, windows, gated GELU",
            with(|spec| {
                spec.wiring = Wiring::SandwichNorm;
                spec.norm.kind = NormKind::RmsUnitOffset;
                spec.embedding.scale = Some(2.0);
                spec.names.feed_forward_norm = "pre_feedforward_layernorm";
                spec.attention.soft_cap = Some(1.5);
                spec.attention.query_key_norm = Some(QueryKeyNorm::PerHead);
                spec.head.soft_cap = Some(2.0);
                spec.layers[0].window = Some(3);
                spec.layers[1].rotary.as_mut().unwrap().theta = 7.0;
                spec.feed_forward.activation = Activation::GeluTanh;
            }),
        ),
        (
            "output norms, whole-projection norms",
            with(|spec| {
                spec.wiring = Wiring::OutputNorm;
                spec.attention.query_key_norm = Some(QueryKeyNorm::WholeProjection);
                spec.head.tied = false;
            }),
        ),
        (
            "fused projections stored as [inputs, outputs], long rope",
            with(|spec| {
                spec.weight_layout = WeightLayout::InputsOutputs;
                spec.attention.projections = QueryKeyValue::Fused;
                spec.feed_forward.gating = Gating::Fused;
                let scaling = RotaryScaling::LongRope {
                    short: vec![1.0, 2.0],
                    long: vec![3.0, 5.0],
                    original_positions: 20,
                    magnitude: 1.3,
                };
                spec.layers
                    .iter_mut()
                    .for_each(|layer| layer.rotary.as_mut().unwrap().scaling = scaling.clone());
            }),
        ),
    ]
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
    for (parts, spec) in specs() {
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
            // Steep losses also bend: the step is kept so short that the loss moves by half at most.
            let h = (0.5 / norm).min(5e-4);
            let slope =
                (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
            variable.set(&at).unwrap();
            // The loss is some hundred in f32, so its differences are good to about 1e-5.
            let allowed = 5e-3 * norm + 1e-5 / h;
            assert!(
                (slope - norm).abs() < allowed,
                "{name} ({parts}): slope {slope}, gradient {norm}"
            );
        }
    }
}

#[test]
fn batches_of_any_size_give_the_same_hidden_states() {
    let spec = llama();
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
