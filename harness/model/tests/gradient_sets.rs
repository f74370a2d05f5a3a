//! Gradient sets and optimisers on a tiny model: sums over batches, clipping, decay, checkpoints; on the CPU and as on devices.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::float_cmp,
    reason = "tests may panic and print"
)]

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use harness_model::Decoder;
use harness_model::ops::portably;
use harness_model::train::{
    AdamW, AdamWOptions, AnswerBatch, DecayGroup, Gradient, GradientSet, Optimizer, Sgd,
    TokenizedPair,
};

mod fixture;

use fixture::{deviation as tensor_deviation, pairs, tiny_llama};

fn value(loss: &Tensor) -> f64 {
    f64::from(loss.to_scalar::<f32>().unwrap())
}

fn norm(tensor: &Tensor) -> f64 {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values
        .iter()
        .map(|&x| f64::from(x).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// A tiny model in training.
struct Tiny {
    decoder: Decoder,
    variables: BTreeMap<String, Var>,
}

impl Tiny {
    fn new() -> Self {
        let (spec, weights) = tiny_llama();
        let (weights, variables) = weights.trainable().unwrap();
        let decoder = Decoder::new(spec, &weights).unwrap();
        Self { decoder, variables }
    }

    /// Gradients of the mean negative log-likelihood of the answers' tokens.
    fn gradients(&self, pairs: &[TokenizedPair]) -> GradientSet {
        let mut gradients = GradientSet::new(&self.variables);
        gradients.add_backward(&self.loss(pairs)).unwrap();
        gradients
    }

    fn loss(&self, pairs: &[TokenizedPair]) -> Tensor {
        let logprobs = AnswerBatch::new(pairs).logprobs(&self.decoder).unwrap();
        logprobs.mean_all().unwrap().neg().unwrap()
    }

    /// Everything the weights hold, in bits.
    fn bits(&self) -> Vec<u32> {
        let bits =
            |variable: &Var| -> Vec<f32> { variable.flatten_all().unwrap().to_vec1().unwrap() };
        self.variables
            .values()
            .flat_map(bits)
            .map(f32::to_bits)
            .collect()
    }
}

/// Largest difference relative to the largest value wanted.
fn deviation(got: Option<Gradient>, want: Option<Gradient>) -> f64 {
    let [got, want] = [got, want].map(|gradient| {
        let values = gradient.unwrap().values().unwrap();
        Tensor::from_slice(&values, values.len(), &Device::Cpu).unwrap()
    });
    tensor_deviation(&got, &want)
}

fn tokens(pairs: &[TokenizedPair]) -> f64 {
    pairs.iter().map(|pair| pair.answer.len()).sum::<usize>() as f64
}

#[test]
fn gradients_of_parts_weighted_by_their_tokens_are_those_of_the_whole() {
    let (tiny, pairs) = (Tiny::new(), pairs());
    let mut sum = GradientSet::new(&tiny.variables);
    for part in pairs.chunks(1) {
        let share = tokens(part) / tokens(&pairs);
        sum.add_backward(&tiny.loss(part).affine(share, 0.0).unwrap())
            .unwrap();
    }
    let whole = tiny.gradients(&pairs);
    assert_eq!(sum.iter().count(), tiny.variables.len());
    for (name, gradient) in whole.iter() {
        let worst = deviation(sum.get(name), Some(gradient));
        assert!(worst < 1e-5, "{name}: {worst}");
    }
    let unweighted = tiny.gradients(&pairs[..1]);
    let name = "model.norm.weight";
    let worst = deviation(unweighted.get(name), whole.get(name));
    assert!(
        worst > 0.1,
        "one part alone must not pass for the whole: {worst}"
    );
}

#[test]
fn clipping_scales_all_gradients_alike() {
    let mut gradients = Tiny::new().gradients(&pairs());
    let squares: f64 = gradients
        .iter()
        .flat_map(|(_, gradient)| gradient.values().unwrap().into_owned())
        .map(|x| f64::from(x).powi(2))
        .sum();
    let before = gradients.clone();
    let reported = gradients.clip(0.25).unwrap();
    assert!(
        (reported - squares.sqrt()).abs() < 1e-5 * reported,
        "{reported}"
    );
    assert!((gradients.norm().unwrap() - 0.25).abs() < 1e-5);
    for (name, gradient) in before.iter() {
        let want: Vec<f32> = gradient
            .values()
            .unwrap()
            .iter()
            .map(|&x| (f64::from(x) * 0.25 / reported) as f32)
            .collect();
        let worst = deviation(gradients.get(name), Some(Gradient::Values(&want)));
        assert!(worst < 1e-5, "{name}: {worst}");
    }
    let kept = gradients.clone();
    gradients.clip(1.0).unwrap();
    let norms = [&gradients, &kept].map(|set| set.norm().unwrap().to_bits());
    assert_eq!(norms[0], norms[1]);
}

#[test]
fn optimisers_clip_as_a_gradient_set_does() {
    for name in ["sgd", "adamw"] {
        let step = |max_norm: Option<f64>, clip_first: bool| {
            let tiny = Tiny::new();
            let mut gradients = tiny.gradients(&pairs());
            if clip_first {
                gradients.clip(0.01).unwrap();
            }
            let options = AdamWOptions {
                epsilon: 1e-2,
                max_gradient_norm: max_norm,
                ..AdamWOptions::default()
            };
            let variables = tiny.variables.clone();
            let mut optimizer: Box<dyn Optimizer> = match name {
                "sgd" => Box::new(Sgd::new(variables, max_norm)),
                _ => Box::new(AdamW::new(variables, options)),
            };
            optimizer.step(&gradients, 0.1).unwrap();
            tiny.variables["model.norm.weight"]
                .as_tensor()
                .copy()
                .unwrap()
        };
        let (inside, before, unclipped) =
            (step(Some(0.01), false), step(None, true), step(None, false));
        assert!(tensor_deviation(&inside, &before) < 1e-6, "{name}");
        assert!(tensor_deviation(&inside, &unclipped) > 1e-5, "{name}");
    }
}

#[test]
fn training_twice_gives_the_same_bits() {
    let train = || {
        let tiny = Tiny::new();
        let mut optimizer = AdamW::new(tiny.variables.clone(), AdamWOptions::default());
        for _ in 0..3 {
            optimizer.step(&tiny.gradients(&pairs()), 1e-2).unwrap();
        }
        tiny.bits()
    };
    assert_eq!(train(), train());
}

#[test]
fn only_the_decay_group_decays() {
    for (decayed, vectors_decay) in [(DecayGroup::Matrices, false), (DecayGroup::All, true)] {
        let tiny = Tiny::new();
        let options = AdamWOptions {
            decayed,
            weight_decay: 0.5,
            ..AdamWOptions::default()
        };
        let mut optimizer = AdamW::new(tiny.variables.clone(), options);
        // Without gradients nothing may move, so they are zero.
        let mut zero = tiny.gradients(&pairs());
        zero.scale(0.0).unwrap();
        let before: BTreeMap<&String, f64> = tiny
            .variables
            .iter()
            .map(|(name, v)| (name, norm(v)))
            .collect();
        optimizer.step(&zero, 0.1).unwrap();
        for (name, variable) in &tiny.variables {
            let shrinks = variable.rank() == 2 || vectors_decay;
            let want = if shrinks { 0.95 } else { 1.0 };
            let ratio = norm(variable) / before[name];
            assert!((ratio - want).abs() < 1e-5, "{decayed:?} {name}: {ratio}");
        }
    }
}

#[test]
fn gradients_that_are_not_finite_change_nothing_and_are_named() {
    let tiny = Tiny::new();
    let before = tiny.bits();
    let mut gradients = tiny.gradients(&pairs());
    gradients.scale(f64::INFINITY).unwrap();
    let mut optimizer = AdamW::new(tiny.variables.clone(), AdamWOptions::default());
    let error = optimizer.step(&gradients, 0.1).unwrap_err().to_string();
    assert!(error.contains("model.embed_tokens.weight"), "{error}");
    assert_eq!(tiny.bits(), before);
}

#[test]
fn checkpointed_activations_give_the_same_gradients() {
    let (tiny, pairs) = (Tiny::new(), pairs());
    let want = tiny.gradients(&pairs);
    let decoder = tiny.decoder.clone().with_activation_checkpoints().unwrap();
    let checkpointed = Tiny { decoder, ..tiny };
    let loss = checkpointed.loss(&pairs);
    let losses = [&loss, &Tiny::new().loss(&pairs)].map(|loss| value(loss).to_bits());
    assert_eq!(losses[0], losses[1]);
    let got = checkpointed.gradients(&pairs);
    assert_eq!(got.iter().count(), checkpointed.variables.len());
    for (name, gradient) in want.iter() {
        let worst = deviation(got.get(name), Some(gradient));
        assert!(worst < 1e-6, "{name}: {worst}");
    }
    let error = loss.backward().unwrap_err().to_string();
    assert!(error.contains("gradient set"), "{error}");
}

#[test]
fn all_of_this_holds_for_tensors_on_devices() {
    portably(|| {
        gradients_of_parts_weighted_by_their_tokens_are_those_of_the_whole();
        clipping_scales_all_gradients_alike();
        optimisers_clip_as_a_gradient_set_does();
        training_twice_gives_the_same_bits();
        only_the_decay_group_decays();
        gradients_that_are_not_finite_change_nothing_and_are_named();
        checkpointed_activations_give_the_same_gradients();
    });
}

#[test]
fn optimisers_take_the_same_steps_on_devices() {
    let train = |name: &str| {
        let tiny = Tiny::new();
        let options = AdamWOptions {
            weight_decay: 0.1,
            // A smaller one turns the rounding of gradients near zero into whole steps.
            epsilon: 1e-3,
            ..AdamWOptions::default()
        };
        let variables = tiny.variables.clone();
        let mut optimizer: Box<dyn Optimizer> = match name {
            "sgd" => Box::new(Sgd::new(variables, Some(0.5))),
            _ => Box::new(AdamW::new(variables, options)),
        };
        for _ in 0..5 {
            optimizer.step(&tiny.gradients(&pairs()), 1e-3).unwrap();
        }
        tiny.variables
    };
    for name in ["sgd", "adamw"] {
        let (fused, composed) = (train(name), portably(|| train(name)));
        for (weight, want) in &fused {
            let worst = tensor_deviation(&composed[weight], want);
            assert!(worst < 1e-5, "{name} {weight}: {worst}");
        }
    }
}

#[test]
fn gradients_of_another_model_are_refused() {
    let tiny = Tiny::new();
    let before = tiny.bits();
    let other: BTreeMap<String, Var> = (tiny.variables.iter())
        .map(|(name, variable)| {
            let wider = Tensor::cat(&[variable.as_tensor(), variable.as_tensor()], 0).unwrap();
            (name.clone(), Var::from_tensor(&wider.detach()).unwrap())
        })
        .collect();
    let mut optimizer = AdamW::new(other, AdamWOptions::default());
    let error = optimizer.step(&tiny.gradients(&pairs()), 0.1).unwrap_err();
    assert!(
        error.to_string().starts_with("a gradient of shape"),
        "{error}"
    );
    assert_eq!(tiny.bits(), before);
}

#[test]
fn gradients_that_are_moved_out_and_handed_back_make_the_same_step() {
    type Rule = fn(&Tiny) -> Box<dyn Optimizer>;
    let rules: [Rule; 2] = [
        |tiny| {
            let options = AdamWOptions::default();
            Box::new(AdamW::new(tiny.variables.clone(), options))
        },
        |tiny| Box::new(Sgd::new(tiny.variables.clone(), Some(1.0))),
    ];
    for rule in rules {
        let (direct, moved) = (Tiny::new(), Tiny::new());
        let step = |tiny: &Tiny, gradients: &GradientSet| {
            let norm = rule(tiny).step(gradients, 1e-2).unwrap();
            (norm.to_bits(), tiny.bits())
        };
        let expected = step(&direct, &direct.gradients(&pairs()));
        let mut set = moved.gradients(&pairs());
        let taken = set.take().unwrap();
        assert_eq!(set.iter().count(), 0);
        let held = GradientSet::holding(&moved.variables, &taken).unwrap();
        assert!(expected == step(&moved, &held));

        // The buffers that were emptied take gradients again.
        set.add_backward(&moved.loss(&pairs())).unwrap();
        assert_eq!(set.take().unwrap().len(), taken.len());
        let strange = BTreeMap::from([(
            "no.such".to_owned(),
            Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).unwrap(),
        )]);
        assert!(GradientSet::holding(&moved.variables, &strange).is_err());
    }
}
