//! Optimisers against recorded trajectories of torch's, and gradients summed over batches against one large batch.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use harness_model::ops::portably;
use harness_model::train::{AdamW, AdamWOptions, DecayGroup, GradientSet, Optimizer, Sgd};
use harness_model::{Decoder, DecoderSpec, ModelError, PackedBatch, Weights, read_spec};
use serde_json::Value;

mod fixture;

use fixture::shared;

/// One recorded start model with its batches and numbers.
struct Recorded {
    name: &'static str,
    spec: DecoderSpec,
    start: Weights,
    batches: HashMap<String, Tensor>,
    numbers: Value,
}

/// A start model as a model directory: the family's config.json with the recorded weights.
fn start_weights(folder: &Path, config: &Path, spec: &DecoderSpec) -> Weights {
    let directory = tempfile::tempdir().unwrap();
    let into = |name: &str| directory.path().join(name);
    std::fs::copy(config.join("config.json"), into("config.json")).unwrap();
    std::fs::copy(
        folder.join("start_model.safetensors"),
        into("model.safetensors"),
    )
    .unwrap();
    Weights::read(directory.path(), spec, &Device::Cpu).unwrap()
}

/// Every recorded folder whose family the decoder supports.
fn recorded() -> Vec<Recorded> {
    let (golden, models) = (
        shared("HARNESS_GOLDEN", "golden"),
        shared("HARNESS_MODELS", "models"),
    );
    let mut all = Vec::new();
    for (name, family) in [
        ("llama", "llama"),
        ("llama-mem", "llama"),
        ("opt", "opt"),
        ("opt-mem", "opt"),
    ] {
        let (folder, config) = (golden.join("unlearning").join(name), models.join(family));
        if !folder.is_dir() || !config.is_dir() {
            eprintln!("SKIPPED: no recorded trajectories at {}", folder.display());
            continue;
        }
        let spec = match read_spec(&config) {
            Err(ModelError::Unsupported { setting, .. }) => {
                eprintln!("SKIPPED: {name}: {setting} is not supported");
                continue;
            }
            other => other.unwrap(),
        };
        let batches = folder.join("batches.safetensors");
        let numbers = std::fs::read(folder.join("index.json")).unwrap();
        all.push(Recorded {
            name,
            start: start_weights(&folder, &config, &spec),
            spec,
            batches: candle_core::safetensors::load(batches, &Device::Cpu).unwrap(),
            numbers: serde_json::from_slice(&numbers).unwrap(),
        });
    }
    all
}

impl Recorded {
    /// Mean negative log-likelihood of the labels of one role's batch, its padding cut off.
    fn nll(&self, decoder: &Decoder, batch: usize, role: &str) -> Tensor {
        let tensor = |part: &str| -> Vec<Vec<i64>> {
            self.batches[&format!("b{batch}.{role}.{part}")]
                .to_vec2()
                .unwrap()
        };
        let (ids, mask, labels) = (
            tensor("input_ids"),
            tensor("attention_mask"),
            tensor("labels"),
        );
        let (mut packed, mut targets) = (PackedBatch::new(), Vec::new());
        for ((ids, mask), labels) in ids.iter().zip(&mask).zip(&labels) {
            let real = mask.iter().filter(|&&m| m == 1).count();
            let tokens: Vec<u32> = ids[..real]
                .iter()
                .map(|&id| u32::try_from(id).unwrap())
                .collect();
            let rows = packed.push(&tokens);
            let next = labels[1..]
                .iter()
                .enumerate()
                .filter(|&(_, &label)| label != -100);
            targets.extend(
                next.map(|(row, &label)| (rows.start + row, u32::try_from(label).unwrap())),
            );
        }
        let hidden = decoder.hidden(&packed).unwrap();
        let logprobs = decoder.token_logprobs(&hidden, &targets).unwrap();
        logprobs.mean_all().unwrap().neg().unwrap()
    }

    /// The loss of a case that is made of negative log-likelihoods only, and the sum of their magnitudes.
    fn loss(&self, decoder: &Decoder, batch: usize, case: &Value) -> (Tensor, f64) {
        let forget = self.nll(decoder, batch, "forget").neg().unwrap();
        if case["method"] == "GradAscent" {
            let scale = value(&forget).abs();
            return (forget, scale);
        }
        assert_eq!(case["method_args"]["retain_loss_type"], "NLL");
        let argument = |name: &str| case["method_args"][name].as_f64().unwrap();
        let forget = (forget * argument("gamma")).unwrap();
        let retain = (self.nll(decoder, batch, "retain") * argument("alpha")).unwrap();
        let scale = value(&forget).abs() + value(&retain).abs();
        ((forget + retain).unwrap(), scale)
    }
}

fn value(loss: &Tensor) -> f64 {
    f64::from(loss.to_scalar::<f32>().unwrap())
}

fn optimizer(name: &str, variables: BTreeMap<String, Var>) -> (Box<dyn Optimizer>, f64) {
    if name == "sgd" {
        return (Box::new(Sgd::new(variables, None)), 0.05);
    }
    let options = AdamWOptions {
        decayed: DecayGroup::All,
        max_gradient_norm: None,
        ..AdamWOptions::default()
    };
    (Box::new(AdamW::new(variables, options)), 1e-3)
}

fn norm(tensor: &Tensor) -> f64 {
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values
        .iter()
        .map(|&x| f64::from(x).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Largest deviation of ten steps' losses before and after, and of the final norms of all weights. A loss that is the
/// difference of two likelihoods comes close to zero, so losses are measured against the likelihoods they are made of.
fn ten_steps(recorded: &Recorded, case: &Value, optimizer_name: &str) -> f64 {
    let wanted = &case["trajectory"][optimizer_name];
    let (weights, variables) = recorded.start.trainable().unwrap();
    let decoder = Decoder::new(recorded.spec.clone(), &weights).unwrap();
    let (mut optimizer, rate) = optimizer(optimizer_name, variables.clone());
    let mut gradients = GradientSet::new(&variables);
    let mut worst: f64 = 0.0;
    let mut compare = |got: f64, want: &Value, scale: f64| {
        worst = worst.max((got - want.as_f64().unwrap()).abs() / scale);
    };
    for step in 0..10 {
        let (loss, scale) = recorded.loss(&decoder, step % 2, case);
        compare(value(&loss), &wanted["loss_before_step"][step], scale);
        gradients.clear();
        gradients.add_backward(&loss).unwrap();
        optimizer.step(&gradients, rate).unwrap();
        let (loss, scale) = recorded.loss(&decoder, step % 2, case);
        compare(value(&loss), &wanted["loss_after_step"][step], scale);
    }
    let norms = wanted["final_weight_norm"].as_object().unwrap();
    assert_eq!(norms.len(), variables.len(), "{}", recorded.name);
    for (name, want) in norms {
        // A bias on keys shifts all scores of a query alike and changes nothing: its gradient is rounding noise, which
        // AdamW blows up to full steps in either direction.
        if optimizer_name == "adamw" && name.ends_with("k_proj.bias") {
            let elements = variables[name].elem_count() as f64;
            let reach = 10.0 * rate * elements.sqrt();
            assert!(
                (norm(&variables[name]) - want.as_f64().unwrap()).abs() < reach,
                "{name}"
            );
        } else {
            compare(norm(&variables[name]), want, want.as_f64().unwrap());
        }
    }
    worst
}

#[test]
fn ten_steps_follow_torch() {
    for recorded in recorded() {
        for case_name in ["GradAscent", "GradDiff", "GradDiff_weights"] {
            let case = &recorded.numbers["cases"][case_name];
            for optimizer in ["sgd", "adamw"] {
                let rounding = &case["trajectory"][optimizer]["max_rel_diff_float64"];
                let allowed = (20.0 * rounding.as_f64().unwrap()).max(1e-4);
                let worst = ten_steps(&recorded, case, optimizer);
                let name = recorded.name;
                eprintln!("{name} {case_name} {optimizer}: {worst:.1e} (allowed {allowed:.1e})");
                assert!(worst < allowed, "{name} {case_name} {optimizer}: {worst}");
            }
        }
    }
}

#[test]
fn optimisers_of_tensors_on_devices_follow_torch() {
    portably(ten_steps_follow_torch);
}
