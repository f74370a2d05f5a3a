//! Fine-tuning on answers: the loop behind `harness finetune`, the demo's models and relearning. Knows no methods.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use candle_core::Var;
use harness_model::train::{
    AdamW, AdamWOptions, AnswerBatch, GradientSet, Optimizer as _, Positions, Schedule,
    ScheduleKind,
};
use harness_model::{
    Decoder, DecoderSpec, Lora, LoraConfig, Model, PassFlops, Staging, Weights, write_model_files,
};
use serde::{Deserialize, Serialize};

use crate::answers::AnswerSet;
use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};
use crate::order::EpochOrder;
use crate::training_memory::{TrainingDemand, TrainingMemory, adapter_elements};

/// How a model is fine-tuned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FineTuning {
    /// Optimiser steps.
    pub steps: usize,
    /// Documents a step.
    pub batch_size: usize,
    /// Peak learning rate of `AdamW`.
    pub learning_rate: f64,
    /// Steps over which the rate rises from zero.
    pub warmup_steps: usize,
    /// What follows the warm-up.
    pub schedule: ScheduleKind,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Joint L2 norm that gradients are clipped to; absent: no clipping.
    pub max_gradient_norm: Option<f64>,
    /// Rank of adapters on every projection inside the layers, which alone are trained; absent: all weights are.
    pub lora_rank: Option<usize>,
    /// Whether each layer keeps its input alone and is run again for the gradients.
    pub activation_checkpoints: bool,
    /// Seed of the order of documents, and of new adapters.
    pub seed: u64,
}

impl Default for FineTuning {
    /// The seed project's settings, for as many steps as somebody says: constant rate, gradients clipped to 1, every weight.
    fn default() -> Self {
        Self {
            steps: 1,
            batch_size: 4,
            learning_rate: 1e-5,
            warmup_steps: 0,
            schedule: ScheduleKind::Constant,
            weight_decay: 0.01,
            max_gradient_norm: Some(1.0),
            lora_rank: None,
            activation_checkpoints: false,
            seed: 0,
        }
    }
}

impl FineTuning {
    /// Steps of `epochs` passes over `documents` documents; the last batch may begin another pass.
    pub fn steps_of_epochs(epochs: usize, documents: usize, batch_size: usize) -> usize {
        (epochs * documents).div_ceil(batch_size.max(1))
    }

    /// What training a copy of `model` on `set` holds, where a batch may be the longest documents.
    pub(crate) fn memory(&self, model: &DecoderSpec, set: &AnswerSet) -> Result<TrainingMemory> {
        let adapter = self.adapter().map(|config| adapter_elements(model, config));
        let adapter = adapter.transpose()?;
        let mut lengths: Vec<usize> = (set.pairs.iter())
            .map(|pair| pair.prompt.len() + pair.answer.len())
            .collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        Ok(TrainingMemory::of(&TrainingDemand {
            spec: model,
            quantized_bytes: None,
            trained_parameters: (adapter.as_ref())
                .map_or(model.parameters(), |elements| elements.values().sum()),
            keeps_original: adapter.is_none(),
            moments: 2,
            activation_checkpoints: self.activation_checkpoints,
            batch_tokens: lengths.iter().take(self.batch_size).sum(),
        }))
    }

    fn adapter(&self) -> Option<LoraConfig> {
        self.lora_rank.map(|rank| LoraConfig {
            rank,
            alpha: 2.0 * rank as f64,
            ..LoraConfig::default()
        })
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.learning_rate,
            warmup_steps: self.warmup_steps,
            total_steps: self.steps,
            kind: self.schedule,
        }
    }
}

/// What fine-tuning took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FineTuningSummary {
    /// Optimiser steps.
    pub steps: usize,
    /// Tokens trained on.
    pub tokens: usize,
    /// Floating-point operations of the steps.
    pub flops: f64,
    /// Loss of the first batch, in nats a token.
    pub first_loss: f64,
    /// Loss of the last batch before its update.
    pub last_loss: f64,
    /// Wall time of the steps.
    pub seconds: f64,
}

/// A model in training on one set of answers.
pub(crate) struct FineTuner<'a> {
    set: &'a AnswerSet,
    weights: Weights,
    /// What is trained beside frozen weights.
    adapter: Option<Lora>,
    decoder: Decoder,
    optimizer: AdamW,
    gradients: GradientSet,
    order: EpochOrder,
    schedule: Schedule,
    batch_size: usize,
    steps: usize,
    costs: PassFlops,
}

/// What one step saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FineTuningStep {
    /// Mean negative log-likelihood of the batch's answer tokens before the update, in nats.
    pub(crate) loss: f64,
    /// Tokens that went through the model.
    pub(crate) tokens: usize,
    /// Floating-point operations of the step.
    pub(crate) flops: f64,
}

impl<'a> FineTuner<'a> {
    /// Starts from a copy of `weights`.
    pub(crate) fn new(
        spec: &DecoderSpec,
        weights: &Weights,
        set: &'a AnswerSet,
        options: &FineTuning,
    ) -> Result<Self> {
        set.require_batch(options.batch_size)?;
        let (weights, adapter, variables) = trainable(spec, weights, options)?;
        let mut decoder = Decoder::new(spec.clone(), &weights)?;
        if options.activation_checkpoints {
            decoder = decoder.with_activation_checkpoints()?;
        }
        let elements = variables.iter();
        let elements = elements.map(|(name, own)| (name.clone(), own.elem_count()));
        let costs = PassFlops::new(spec, &elements.collect(), options.activation_checkpoints);
        let gradients = GradientSet::new(&variables);
        let adamw = AdamWOptions {
            weight_decay: options.weight_decay,
            max_gradient_norm: options.max_gradient_norm,
            ..AdamWOptions::default()
        };
        Ok(Self {
            set,
            weights,
            adapter,
            decoder,
            optimizer: AdamW::new(variables, adamw),
            gradients,
            order: EpochOrder::new(set.pairs.len(), options.seed),
            schedule: options.schedule(),
            batch_size: options.batch_size,
            steps: 0,
            costs,
        })
    }

    /// Takes one step on the next batch.
    pub(crate) fn step(&mut self) -> Result<FineTuningStep> {
        let documents = self.order.batch(self.batch_size);
        let batch = AnswerBatch::new(documents.iter().map(|&document| &self.set.pairs[document]));
        let loss = batch.logprobs(&self.decoder)?.mean_all()?.neg()?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            let message = format!(
                "task {}: the training loss became {value} in step {}",
                self.set.name,
                self.steps + 1
            );
            return Err(BenchError::Diverged(message));
        }
        self.gradients.clear();
        self.gradients.add_backward(&loss)?;
        self.optimizer
            .step(&self.gradients, self.schedule.rate(self.steps))?;
        self.steps += 1;
        Ok(FineTuningStep {
            loss: value,
            tokens: batch.tokens(),
            flops: self.costs.training_step(
                batch.packed(),
                batch.lengths(Positions::Answer).iter().sum(),
            ),
        })
    }

    /// The model as it is now, without gradients and with its adapter merged: to score it or to write it. Unless there is an
    /// adapter, its tensors go on changing with further steps.
    pub(crate) fn weights(&self) -> Result<Weights> {
        match &self.adapter {
            None => Ok(self.weights.constants()),
            Some(lora) => Ok(lora.merge(&self.weights)?),
        }
    }
}

/// Weights that gradients are computed for, in full or in adapters beside them.
fn trainable(
    spec: &DecoderSpec,
    weights: &Weights,
    options: &FineTuning,
) -> Result<(Weights, Option<Lora>, BTreeMap<String, Var>)> {
    let Some(config) = options.adapter() else {
        let (weights, variables) = weights.trainable()?;
        return Ok((weights, None, variables));
    };
    let device = Decoder::new(spec.clone(), weights)?.device().clone();
    let lora = Lora::new(spec, config, options.seed, &device)?;
    let (lora, variables) = lora.trainable(options.seed)?;
    Ok((weights.with_adapters(&lora)?, Some(lora), variables))
}

/// Fine-tunes a copy of `weights` on `set`.
///
/// # Errors
/// When a batch is larger than the set, the loss stops being finite, or the model fails.
fn finetune(
    spec: &DecoderSpec,
    weights: &Weights,
    set: &AnswerSet,
    options: &FineTuning,
    observer: &mut Observer,
) -> Result<(Weights, FineTuningSummary)> {
    let mut tuner = FineTuner::new(spec, weights, set, options)?;
    let (start, mut tokens, mut flops) = (Instant::now(), 0, 0.0);
    let mut losses = Vec::new();
    for done in 1..=options.steps {
        let step = tuner.step()?;
        tokens += step.tokens;
        flops += step.flops;
        losses.push(step.loss);
        observer(Event::StageAdvanced {
            done,
            work_done: None,
            remark: format!("loss {:.3}", step.loss),
        });
    }
    let summary = FineTuningSummary {
        steps: options.steps,
        tokens,
        flops,
        first_loss: losses.first().copied().unwrap_or(f64::NAN),
        last_loss: losses.last().copied().unwrap_or(f64::NAN),
        seconds: start.elapsed().as_secs_f64(),
    };
    Ok((tuner.weights()?, summary))
}

/// Fine-tunes `model` on `set` into the new model directory `output`, with the other files of where the model came from.
///
/// # Errors
/// When the model fails, training diverges or the settings leave nothing to train, and when the directory is occupied or cannot be
/// written. Until it is whole, everything lies in `output` with `.partial` appended; what failed leaves nothing.
pub fn finetune_into(
    output: &Path,
    model: &Model,
    set: &AnswerSet,
    options: &FineTuning,
    observer: &mut Observer,
) -> Result<FineTuningSummary> {
    let staging = Staging::begin(output)?;
    let trained = finetune(&model.spec, &model.weights, set, options, observer).and_then(
        |(weights, summary)| {
            write_model_files(staging.path(), &model.source, &weights)?;
            Ok(summary)
        },
    );
    match trained {
        Ok(summary) => {
            staging.publish()?;
            Ok(summary)
        }
        Err(error) => {
            staging.discard();
            Err(error)
        }
    }
}
