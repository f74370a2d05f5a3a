//! Operations composed for other devices against the fused ones: values and gradients of random arguments, to rounding.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::sync::Arc;

use candle_core::{Device, Result, Tensor, Var};
use harness_model::ops::{
    Activation, AttentionRule, Contrast, RotaryTable, SoftTargets, TokenHead, attention,
    compare_with_teacher, embedding, layer_norm, linear, linear_inputs_first, logit_spread,
    portably, rms_norm, rotary, sum, token_logprobs, token_scores,
};
use harness_model::{Comparison, PackedBatch};

mod fixture;

use fixture::deviation;

/// Numbers about ±1.5 without a pattern, of any shape.
fn random(shape: &[usize], seed: usize) -> Tensor {
    let count = shape.iter().product();
    let draw = |i: usize| {
        let mixed = (i as u64 + 1 + ((seed as u64) << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 40) as f32 / (1 << 23) as f32 * 1.5 - 1.5
    };
    let values: Vec<f32> = (0..count).map(draw).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The value and the gradients of Σ value · slopes.
fn value_and_gradients(
    variables: &[Var],
    compute: &dyn Fn(&[&Tensor]) -> Result<Tensor>,
) -> Vec<Tensor> {
    let arguments: Vec<&Tensor> = variables.iter().map(Var::as_tensor).collect();
    let value = compute(&arguments).unwrap();
    let slopes = random(value.dims(), 99);
    let loss = (&value * slopes).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let of_arguments = arguments.iter().map(|argument| {
        let gradient = gradients.get(argument);
        gradient
            .unwrap_or_else(|| panic!("no gradient of {argument:?}"))
            .clone()
    });
    std::iter::once(value.clone()).chain(of_arguments).collect()
}

/// Compares both ways to compute on arguments of these shapes.
fn agree(name: &str, shapes: &[&[usize]], compute: impl Fn(&[&Tensor]) -> Result<Tensor>) {
    let variable = |(seed, shape): (usize, &&[usize])| Var::from_tensor(&random(shape, seed));
    let variables: Vec<Var> = shapes
        .iter()
        .enumerate()
        .map(|argument| variable(argument).unwrap())
        .collect();
    let fused = value_and_gradients(&variables, &compute);
    let composed = portably(|| value_and_gradients(&variables, &compute));
    for (number, (got, want)) in composed.iter().zip(&fused).enumerate() {
        let worst = deviation(got, want);
        assert!(worst < 1e-5, "{name}, tensor {number}: {worst:e}");
    }
}

#[test]
fn products_and_rows_of_matrices() {
    for (rows, inputs, outputs) in [(1, 5, 3), (37, 16, 50)] {
        let (x, weight) = ([rows, inputs], [outputs, inputs]);
        agree("linear", &[&x, &weight], |a| linear(a[0], a[1], None));
        agree("linear", &[&x, &weight, &[outputs]], |a| {
            linear(a[0], a[1], Some(a[2]))
        });
        let weight = [inputs, outputs];
        agree("inputs first", &[&x, &weight, &[outputs]], |a| {
            linear_inputs_first(a[0], a[1], Some(a[2]))
        });
    }
    agree("embedding", &[&[11, 6]], |a| {
        embedding(a[0], vec![3, 10, 3, 0, 7])
    });
    agree("sum", &[&[9, 4], &[9, 4]], |a| sum(a[0], a[1]));
}

#[test]
fn norms() {
    for (rows, width) in [(1, 8), (70, 33)] {
        agree("rms", &[&[rows, width], &[width]], |a| {
            rms_norm(a[0], a[1], 1e-5)
        });
        agree("layer", &[&[rows, width], &[width], &[width]], |a| {
            layer_norm(a[0], a[1], a[2], 1e-5)
        });
    }
}

#[test]
fn activations() {
    for activation in [
        Activation::Relu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
    ] {
        let name = format!("{activation:?}");
        agree(&name, &[&[40, 31]], |a| activation.apply(a[0]));
        agree(&name, &[&[40, 31], &[40, 31]], |a| {
            activation.gate(a[0], a[1])
        });
        let nan = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
        let value = portably(|| activation.apply(&nan)).unwrap();
        assert!(value.to_vec1::<f32>().unwrap()[0].is_nan(), "{name}");
    }
}

#[test]
fn rotations_of_whole_and_of_parts_of_heads() {
    for (head_dim, half) in [(8, 4), (10, 3)] {
        let planes: Vec<f32> = (0..half).map(|i| 0.3f32.powi(i)).collect();
        let rows: Vec<(u32, &[f32])> = (0..20).map(|position| (position, &planes[..])).collect();
        let table = RotaryTable::new(&rows, planes.len(), 1.2);
        agree("rotary", &[&[20, 3 * head_dim]], |a| {
            rotary(a[0], &table, head_dim)
        });
    }
}

/// Sequences of many lengths that share prefixes, some longer than a block.
fn tree() -> PackedBatch {
    let mut batch = PackedBatch::new();
    let long: Vec<u32> = (0..300).collect();
    for sequence in [
        &long[..],
        &long[..150],
        &[0, 1, 2, 9, 9],
        &[0, 1, 7],
        &[5],
        &[6, 6],
    ] {
        batch.push_sharing(sequence);
    }
    batch.push(&long[..131]);
    batch
}

#[test]
fn attention_over_trees_with_windows_caps_and_groups() {
    let batch = tree();
    let blocks = Arc::new(batch.blocks().to_vec());
    for (heads, kv_heads) in [(1, 1), (6, 2), (4, 4)] {
        for (window, soft_cap) in [(None, None), (Some(2), None), (Some(40), Some(0.7))] {
            let rule = AttentionRule {
                head_dim: 5,
                scale: 0.4,
                soft_cap,
                window,
            };
            let (query, key) = ([batch.len(), heads * 5], [batch.len(), kv_heads * 5]);
            let name = format!("{heads} heads, {kv_heads} of keys, {rule:?}");
            agree(&name, &[&query, &key, &key], |a| {
                attention(a[0], a[1], a[2], &blocks, rule)
            });
        }
    }
}

#[test]
fn log_probabilities_and_scores() {
    let targets: Vec<u32> = (0..17).map(|row| row * 5 % 23).collect();
    for soft_cap in [None, Some(1.3)] {
        let head = |weight: &Tensor, bias: Option<&Tensor>| TokenHead {
            weight: weight.clone(),
            bias: bias.cloned(),
            soft_cap,
        };
        let shapes: [&[usize]; 3] = [&[17, 6], &[23, 6], &[23]];
        agree("without bias", &shapes[..2], |a| {
            token_logprobs(a[0], &head(a[1], None), targets.clone())
        });
        agree("with bias", &shapes, |a| {
            token_logprobs(a[0], &head(a[1], Some(a[2])), targets.clone())
        });
        // Equal rows of the head make ties, of which the first token wins.
        let weight = random(&[4, 6], 3).repeat((3, 1)).unwrap();
        let (hidden, head) = (random(&[12, 6], 4), head(&weight, None));
        let targets: Vec<u32> = (0..12).collect();
        let plain = token_scores(&hidden, &head, &targets, false).unwrap();
        let fused = token_scores(&hidden, &head, &targets, true).unwrap();
        let composed = portably(|| token_scores(&hidden, &head, &targets, true)).unwrap();
        for ((got, want), plain) in composed.iter().zip(&fused).zip(&plain) {
            assert_eq!(got.is_argmax, want.is_argmax);
            assert!((got.logprob - want.logprob).abs() < 1e-5 * want.logprob.abs());
            let [got, same] = [got, want].map(|score| score.standardised.unwrap());
            assert!((got - same).abs() < 1e-4, "{got} for {same}");
            let standardised = None;
            assert_eq!(
                *plain,
                harness_model::TokenScore {
                    standardised,
                    ..*want
                }
            );
        }
    }
}

#[test]
fn measures_of_distributions() {
    // The second vocabulary comes in two pieces.
    for (rows, vocabulary, soft_cap) in [(17, 23, Some(1.3)), (64, 40_000, None)] {
        let head = |weight: &Tensor, bias: &Tensor| TokenHead {
            weight: weight.clone(),
            bias: Some(bias.clone()),
            soft_cap,
        };
        let shapes: [&[usize]; 3] = [&[rows, 4], &[vocabulary, 4], &[vocabulary]];
        agree("spread", &shapes, |a| logit_spread(a[0], &head(a[1], a[2])));
        let other = head(&random(&[vocabulary, 4], 7), &random(&[vocabulary], 8));
        let other = (random(&[rows, 4], 9), other);
        let third = Contrast {
            hidden: random(&[rows, 4], 10),
            head: head(&random(&[vocabulary, 4], 11), &random(&[vocabulary], 12)),
            alpha: 1.5,
        };
        let label =
            |row: usize| (!row.is_multiple_of(3)).then_some((row * 977 % vocabulary) as u32);
        for (teacher, contrast, shift) in [
            (Some(&other), None, 0.0),
            (Some(&other), None, 3.0),
            (Some(&other), Some(&third), 0.0),
            (Some(&other), Some(&third), 3.0),
            (None, None, 2.0),
            (None, None, f32::INFINITY),
        ] {
            // One token of so many moves the model from itself by less than the rounding of both.
            if teacher.is_none() && vocabulary > 1000 {
                continue;
            }
            let targets = SoftTargets {
                teacher: teacher.cloned(),
                contrast: contrast.cloned(),
                labels: (0..rows).map(label).collect(),
                shift,
            };
            for comparison in [Comparison::Divergence, Comparison::CrossEntropy] {
                let name = format!(
                    "{comparison:?} over {vocabulary}, shift {shift}, contrast {}",
                    contrast.is_some()
                );
                agree(&name, &shapes, |a| {
                    compare_with_teacher(a[0], &head(a[1], a[2]), &targets, comparison)
                });
            }
        }
    }
}
