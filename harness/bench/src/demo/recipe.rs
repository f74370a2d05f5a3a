//! How much each stage of the demo trains. The same for every method: nothing is tuned to anyone's favour.

use harness_model::train::ScheduleKind;
use serde::Serialize;

use crate::relearn::RelearnOptions;
use crate::unlearn::TrainingOptions;

/// Raised whenever finished stages of older versions must not be taken over.
const RECIPE_VERSION: u32 = 1;

/// The settings of all stages.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Recipe {
    version: u32,
    /// Passes over everything there is to learn.
    pub(super) pretraining_epochs: usize,
    pub(super) pretraining_batch: usize,
    pub(super) pretraining_rate: f64,
    pub(super) unlearning: TrainingOptions,
    pub(super) relearning: RelearnOptions,
    pub(super) seed: u64,
}

impl Recipe {
    pub(super) fn new(seed: u64) -> Self {
        let unlearning = TrainingOptions {
            steps: 45,
            batch_size: 4,
            learning_rate: 2e-4,
            warmup_steps: 5,
            schedule: ScheduleKind::Linear,
            weight_decay: 0.01,
            max_gradient_norm: Some(1.0),
            activation_checkpoints: false,
            seed,
        };
        let relearning = RelearnOptions {
            batch_size: 3,
            learning_rate: 5e-4,
            max_steps: 240,
            activation_checkpoints: false,
            seed,
        };
        Self {
            version: RECIPE_VERSION,
            pretraining_epochs: 20,
            pretraining_batch: 16,
            pretraining_rate: 2e-3,
            unlearning,
            relearning,
            seed,
        }
    }
}
