//! Settings of the training loop, which is the harness's own: plain values. They refuse nothing; the command line does, and the
//! model that they do not fit.

use harness_model::LoraConfig;
use harness_model::train::ScheduleKind;
use serde::{Deserialize, Serialize};

use super::stop_rule::StopRule;

/// Settings of the training loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainingOptions {
    /// What steps change.
    pub parameters: TrainedParameters,
    /// Optimiser steps.
    pub steps: usize,
    /// Forget documents of a micro-batch, and as many retain documents.
    pub batch_size: usize,
    /// Micro-batches whose gradients make one step.
    pub gradient_accumulation: usize,
    /// How the forget set is cut into parts that are forgotten one after the other; absent: it is gone through as a whole,
    /// and the run is the same as before there were parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<SequentialParts>,
    /// How gradients become steps.
    pub optimizer: OptimizerOptions,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps over which the rate rises.
    pub warmup_steps: usize,
    /// What follows the warm-up.
    pub schedule: ScheduleKind,
    /// Joint L2 norm that gradients are clipped to; absent: no clipping.
    pub max_gradient_norm: Option<f64>,
    /// What ends the run before its last step.
    pub stop_when: Option<StopRule>,
    /// Steps between models that are kept of the run; absent: only the last one is.
    pub save_every: Option<usize>,
    /// Whether each layer keeps its input alone and is run again for the gradients.
    pub activation_checkpoints: bool,
    /// Seed of the order of documents, of an adapter's beginning and of its dropout.
    pub seed: u64,
}

/// Equal parts of the forget set, one after the other: the next begins when the last has been gone through often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequentialParts {
    /// Number of parts.
    pub parts: usize,
    /// Times that each part is gone through.
    pub epochs: usize,
}

/// What steps change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainedParameters {
    /// Every weight.
    #[default]
    All,
    /// The weights whose whole names match a regular expression.
    Matching(String),
    /// A new adapter beside frozen weights.
    Adapter {
        /// What it looks like.
        lora: LoraConfig,
        /// Whether the frozen matrices inside the layers are kept in blocks of small integers.
        quantized: bool,
    },
}

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerOptions {
    /// AdamW.
    #[serde(rename = "adamw")]
    AdamW {
        /// Decay of the mean of gradients.
        beta1: f64,
        /// Decay of the mean of squared gradients.
        beta2: f64,
        /// Decoupled weight decay of matrices.
        weight_decay: f64,
    },
    /// Plain stochastic gradient descent.
    Sgd,
}

impl OptimizerOptions {
    /// AdamW with the usual betas.
    pub fn adamw(weight_decay: f64) -> Self {
        Self::AdamW {
            beta1: 0.9,
            beta2: 0.999,
            weight_decay,
        }
    }
}

impl TrainingOptions {
    /// Forget documents of a step.
    pub fn documents_a_step(&self) -> usize {
        self.batch_size * self.gradient_accumulation
    }
}

impl Default for TrainingOptions {
    /// 50 steps of AdamW over batches of four, every weight trained.
    fn default() -> Self {
        Self {
            parameters: TrainedParameters::All,
            steps: 50,
            batch_size: 4,
            gradient_accumulation: 1,
            sequential: None,
            optimizer: OptimizerOptions::adamw(0.01),
            learning_rate: 1e-5,
            warmup_steps: 0,
            schedule: ScheduleKind::Linear,
            max_gradient_norm: Some(1.0),
            stop_when: None,
            save_every: None,
            activation_checkpoints: false,
            seed: 0,
        }
    }
}
