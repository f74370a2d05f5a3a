//! A model of a few thousand weights with batches in every role, to run any method on. It refuses to be trained.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use harness_bench::unlearn::{ModelStep, SpawnedModels};
use harness_host::{LoadedMethod, MethodInstance, Need, Role, StepLoss};
use harness_model::train::{AnswerBatch, GradientSet, TokenizedPair};
use harness_model::{Decoder, DecoderSpec, Weights, read_spec};
use serde_json::Value;

use crate::text;

/// A Llama of two layers over as many tokens as UNDIAL's stand-in needs.
const CONFIG: &str = r#"{
    "model_type": "llama", "vocab_size": 131, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "hidden_act": "silu", "tie_word_embeddings": true
}"#;
const SEED: u64 = 11;
const ROLES: [Role; 5] = [
    Role::Forget,
    Role::Retain,
    Role::Alternate,
    Role::Normal,
    Role::Mismatch,
];
/// The rows of a batch as they are written below.
pub(super) const IN_ORDER: [usize; 3] = [0, 1, 2];
/// Another order.
pub(super) const TURNED: [usize; 3] = [2, 0, 1];

/// The model, trained a little and as it was.
pub(super) struct Tiny {
    pub(super) policy: Decoder,
    pub(super) reference: Decoder,
    /// The policy's, variables.
    pub(super) weights: Weights,
    /// What the policy is now, to stay so.
    pub(super) snapshot: Decoder,
    pub(super) variables: BTreeMap<String, Var>,
}

impl Tiny {
    pub(super) fn new() -> Result<Self, String> {
        let spec = spec()?;
        let weights = Weights::random(&spec, SEED, &Device::Cpu).map_err(text)?;
        let (policy, variables) = moved(&weights)?;
        Ok(Self {
            policy: Decoder::new(spec.clone(), &policy).map_err(text)?,
            snapshot: Decoder::new(spec.clone(), &moved(&weights)?.0).map_err(text)?,
            reference: Decoder::new(spec, &weights).map_err(text)?,
            weights: policy,
            variables,
        })
    }

    /// A step for the method, with the batches' rows in this order.
    pub(super) fn step(&self, method: &LoadedMethod, order: [usize; 3]) -> ModelStep<'_> {
        let is_whole = method.description().needs(Need::EveryPosition);
        ModelStep {
            policy: &self.policy,
            reference: Some(&self.reference),
            spawned: SpawnedModels::default(),
            batches: ROLES
                .map(|role| (role, batch(role, is_whole, order)))
                .into(),
            remembered: None,
            progress: [0.0, 1.0, 0.0],
            seed: 7,
            random: None,
            passes: RefCell::default(),
        }
    }

    /// The loss of a new instance, and its gradients.
    pub(super) fn run(
        &self,
        method: &LoadedMethod,
        options: &Value,
        order: [usize; 3],
    ) -> Result<(StepLoss, GradientSet), String> {
        let instance = method.create(options).map_err(text)?;
        self.run_instance(method, &instance, order)
    }

    pub(super) fn run_instance(
        &self,
        method: &LoadedMethod,
        instance: &MethodInstance,
        order: [usize; 3],
    ) -> Result<(StepLoss, GradientSet), String> {
        let loss = instance.loss(&self.step(method, order)).map_err(text)?;
        let gradients = self.gradients(&loss)?;
        Ok((loss, gradients))
    }

    pub(super) fn gradients(&self, loss: &StepLoss) -> Result<GradientSet, String> {
        let mut gradients = GradientSet::new(&self.variables);
        gradients.add_backward(&loss.loss).map_err(text)?;
        Ok(gradients)
    }
}

fn spec() -> Result<DecoderSpec, String> {
    let directory = tempfile::tempdir().map_err(text)?;
    std::fs::write(directory.path().join("config.json"), CONFIG).map_err(text)?;
    read_spec(directory.path()).map_err(text)
}

/// Trainable weights a little away from where they were.
fn moved(weights: &Weights) -> Result<(Weights, BTreeMap<String, Var>), String> {
    let (weights, variables) = weights.trainable().map_err(text)?;
    for (index, variable) in variables.values().enumerate() {
        let count = variable.elem_count();
        let wave = (0..count).map(|place| 0.01 * ((place + 31 * index) as f32 * 1.7).sin());
        let moved = Tensor::from_vec(wave.collect(), variable.shape(), variable.device())
            .and_then(|wave| variable.as_tensor() + wave)
            .and_then(|moved| variable.set(&moved));
        moved.map_err(text)?;
    }
    Ok((weights, variables))
}

fn batch(role: Role, is_whole: bool, order: [usize; 3]) -> AnswerBatch {
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
    let pairs = order.map(|row| &pairs[row]);
    if is_whole {
        return AnswerBatch::whole(pairs);
    }
    AnswerBatch::new(pairs)
}
