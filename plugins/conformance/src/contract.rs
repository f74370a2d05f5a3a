//! What can be asked of a method without a recording: that it says what it is, refuses what it must, and computes the same thing twice.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use harness_bench::unlearn::ModelStep;
use harness_host::{LoadedMethod, Need, Role, StepLoss};
use harness_model::train::{AnswerBatch, GradientSet, TokenizedPair};
use harness_model::{Decoder, DecoderSpec, Weights, read_spec};
use serde_json::{Value, json};

use crate::Finding;

/// A Llama of two layers over as many tokens as UNDIAL's stand-in needs.
const CONFIG: &str = r#"{
    "model_type": "llama", "vocab_size": 131, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "hidden_act": "silu", "tie_word_embeddings": true
}"#;

const ROLES: [Role; 5] = [
    Role::Forget,
    Role::Retain,
    Role::Alternate,
    Role::Normal,
    Role::Mismatch,
];

/// The tiny model, trained a little and as it was.
struct Tiny {
    policy: Decoder,
    reference: Decoder,
    variables: BTreeMap<String, candle_core::Var>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Tiny {
    fn new() -> Result<Self, String> {
        let spec = spec()?;
        let weights = Weights::random(&spec, 11, &Device::Cpu).map_err(text)?;
        let (policy, variables) = weights.trainable().map_err(text)?;
        for (index, variable) in variables.values().enumerate() {
            let moved = moved(variable, index).map_err(text)?;
            variable.set(&moved).map_err(text)?;
        }
        Ok(Self {
            policy: Decoder::new(spec.clone(), &policy).map_err(text)?,
            reference: Decoder::new(spec, &weights).map_err(text)?,
            variables,
        })
    }

    /// A step of the method; also the joint norm of the gradients.
    fn run(&self, method: &LoadedMethod, options: &Value) -> Result<(StepLoss, f64), String> {
        let is_whole = method.description().needs(Need::EveryPosition);
        let batches = ROLES.map(|role| (role, batch(role, is_whole))).into();
        let step = ModelStep {
            policy: &self.policy,
            reference: Some(&self.reference),
            batches,
            remembered: None,
            progress: [0.0, 1.0, 0.0],
            seed: 7,
            random: None,
            passes: RefCell::default(),
        };
        let instance = method.create(options).map_err(text)?;
        let loss = instance.loss(&step).map_err(text)?;
        let mut gradients = GradientSet::new(&self.variables);
        gradients.add_backward(&loss.loss).map_err(text)?;
        let norm = gradients.norm().map_err(text)?;
        Ok((loss, norm))
    }
}

fn spec() -> Result<DecoderSpec, String> {
    let directory = tempfile::tempdir().map_err(text)?;
    std::fs::write(directory.path().join("config.json"), CONFIG).map_err(text)?;
    read_spec(directory.path()).map_err(text)
}

/// A weight a little away from where it was.
fn moved(weight: &Tensor, index: usize) -> candle_core::Result<Tensor> {
    let count = weight.elem_count();
    let wave = (0..count).map(|place| 0.01 * ((place + 31 * index) as f32 * 1.7).sin());
    let wave = Tensor::from_vec(wave.collect(), weight.shape(), weight.device())?;
    weight + wave
}

fn batch(role: Role, is_whole: bool) -> AnswerBatch {
    let pair = |seed: u32, prompt: u32, answer: u32| TokenizedPair {
        prompt: (0..prompt).map(|i| (seed + 5 * i) % 131).collect(),
        answer: (0..answer).map(|i| (seed * 3 + 7 * i) % 131).collect(),
    };
    let seed = role.code() * 17;
    let pairs = [
        pair(1 + seed, 4, 2),
        pair(2 + seed, 3, 7),
        pair(3 + seed, 9, 3),
    ];
    if is_whole {
        return AnswerBatch::whole(&pairs);
    }
    AnswerBatch::new(&pairs)
}

/// Asks everything that needs no recording.
pub(crate) fn check(method: &LoadedMethod, options: &Value) -> Vec<Finding> {
    let tiny = match Tiny::new() {
        Ok(tiny) => tiny,
        Err(error) => return vec![Finding::new("the tiny model", Err(error))],
    };
    vec![
        Finding::new("every option is documented", documented(method)),
        Finding::new("an unknown option is refused", refuses_unknown(method)),
        Finding::new(
            "a step gives a finite loss and gradients",
            step(&tiny, method, options),
        ),
        Finding::new(
            "the same step gives the same loss",
            repeats(&tiny, method, options),
        ),
    ]
}

fn documented(method: &LoadedMethod) -> Result<String, String> {
    let description = method.description();
    if description.summary.trim().is_empty() {
        return Err("the method has no summary".into());
    }
    let bare = description
        .options
        .iter()
        .find(|option| option.doc.trim().is_empty());
    match bare {
        Some(option) => Err(format!("option `{}` has no documentation", option.name)),
        None => Ok(format!("{} options", description.options.len())),
    }
}

fn refuses_unknown(method: &LoadedMethod) -> Result<String, String> {
    match method.create_unchecked(&json!({ "no_such_option": 1 })) {
        Err(error) => Ok(error.to_string()),
        Ok(_) => Err("the library took the option `no_such_option`".into()),
    }
}

fn step(tiny: &Tiny, method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let (loss, norm) = tiny.run(method, options)?;
    if norm == 0.0 {
        return Err(format!(
            "the loss is {}, and its gradient is zero everywhere",
            loss.value
        ));
    }
    Ok(format!("loss {:.6}, gradient norm {norm:.6}", loss.value))
}

fn repeats(tiny: &Tiny, method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let (first, _) = tiny.run(method, options)?;
    let (second, _) = tiny.run(method, options)?;
    if first.value.to_bits() != second.value.to_bits() || first.logged != second.logged {
        let (first, second) = (first.value, second.value);
        return Err(format!("{first} the first time, {second} the second"));
    }
    Ok(format!("{} both times", first.value))
}
