//! How much each stage of the demo trains. The same for every method: nothing is tuned to anyone's favour.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;

use super::world::{
    FORGET, FORGET_CHOICE, FORGET_PARAPHRASED, FORGET_TRUTH, HOLDOUT, RETAIN, UTILITY,
};
use crate::experiment::{ExperimentSpec, MethodSpec, NOISE_METHOD, RelearnSpec, UnlearnSpec};

/// Raised whenever finished stages of older versions must not be taken over.
const RECIPE_VERSION: u32 = 4;

/// Steps of every method.
const STEPS: usize = 45;
/// The method that also runs three times as long, to show what it ends in.
const COLLAPSING: &str = "grad_ascent";
/// Random weights: as much as the methods changed, which harms nobody, and so much that nothing is left.
const NOISE: [f64; 2] = [1.0, 30.0];

/// The settings of all stages.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Recipe {
    version: u32,
    /// Passes over everything there is to learn.
    pub(super) pretraining_epochs: usize,
    pub(super) pretraining_batch: usize,
    pub(super) pretraining_rate: f64,
    pub(super) seed: u64,
}

impl Recipe {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            version: RECIPE_VERSION,
            pretraining_epochs: 20,
            pretraining_batch: 16,
            pretraining_rate: 2e-3,
            seed,
        }
    }

    /// The experiment on the demo's models: the original, the oracle and its twin.
    pub(super) fn experiment<'a>(
        &self,
        [original, oracle, twin]: [PathBuf; 3],
        methods: impl Iterator<Item = &'a String>,
    ) -> ExperimentSpec {
        let methods = methods.filter(|id| *id != NOISE_METHOD);
        let methods = methods.flat_map(|id| {
            let method = MethodSpec {
                set: needed_options(id),
                ..MethodSpec::of(id)
            };
            let collapse = (id == COLLAPSING).then(|| MethodSpec {
                name: Some(format!("{id} × 3")),
                steps: Some(3 * STEPS),
                ..method.clone()
            });
            std::iter::once(method).chain(collapse)
        });
        ExperimentSpec {
            name: "demo".into(),
            oracle: Some(oracle),
            oracle_twin: Some(twin),
            paraphrased: Some(FORGET_PARAPHRASED.into()),
            holdout: Some(HOLDOUT.into()),
            truth_ratio: Some(FORGET_TRUTH.into()),
            forget_choice: Some(FORGET_CHOICE.into()),
            retain: Some(RETAIN.into()),
            utility: UTILITY.map(str::to_owned).into(),
            seeds: vec![self.seed],
            unlearn: UnlearnSpec {
                steps: STEPS,
                batch_size: 4,
                learning_rates: vec![2e-4],
                warmup_steps: 5,
                checkpoints: 2,
                ..UnlearnSpec::default()
            },
            relearn: RelearnSpec {
                learning_rates: vec![5e-4],
                seeds: vec![self.seed],
                max_steps: 240,
                batch_size: 3,
                ..RelearnSpec::default()
            },
            noise: NOISE.into(),
            ..ExperimentSpec::new(original, FORGET.into(), methods.collect())
        }
    }
}

/// Options that have no default, or none that fits four layers.
fn needed_options(method: &str) -> BTreeMap<String, serde_json::Value> {
    let options = match method {
        "pdu" => json!({"retain_loss_eps": 0.1}),
        "rmu" => json!({"layer": 1}),
        _ => json!({}),
    };
    options
        .as_object()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .collect()
}
