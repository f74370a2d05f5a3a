//! Options of the training loop: what is trained, for how long, with which steps. It refuses numbers that make no sense, and options
//! of an optimiser or an adapter that is not chosen.

use anyhow::Result;
use clap::Args;
use harness_bench::unlearn::{
    OptimizerOptions, SequentialParts, StopRule, TrainedParameters, TrainingOptions,
};
use harness_model::LoraConfig;
use harness_model::train::ScheduleKind;

use crate::exit::Refused;

#[derive(Args)]
#[command(next_help_heading = "Training")]
pub(super) struct TrainingFlags {
    /// Optimiser steps; 50 unless given
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    steps: Option<usize>,
    /// Train until the forget set has been gone through so often, instead of a number of steps
    #[arg(long, value_name = "X")]
    epochs: Option<f64>,
    /// Forget documents of a batch, and as many retain documents
    #[arg(long, value_name = "N", default_value_t = 4)]
    batch_size: usize,
    /// Batches whose mean loss makes one step: as one batch so many times as large, in the memory of one
    #[arg(long, value_name = "N", default_value_t = 1)]
    gradient_accumulation: usize,
    /// Forget the set in so many equal parts one after the other, each for --epochs with one step an epoch, the sum of its batches;
    /// 1 takes the whole set as one batch
    #[arg(
        long,
        value_name = "PARTS",
        requires = "epochs",
        conflicts_with = "gradient_accumulation"
    )]
    sequential: Option<usize>,
    /// End the run early, on the mean of the last ten steps' loss or of a part that the method logs: `loss<0.1`, `forget_loss>100`
    #[arg(long, value_name = "BOUND")]
    stop_when: Option<StopRule>,
    /// Keep a model of every N steps, in OUT/checkpoints/step-N, and what the run needs to go on from there
    #[arg(long, value_name = "N")]
    save_every: Option<usize>,
    /// Peak learning rate
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1e-5,
        allow_negative_numbers = true
    )]
    lr: f64,
    /// Steps over which the learning rate rises from zero
    #[arg(long, value_name = "N", conflicts_with = "warmup_ratio")]
    warmup_steps: Option<usize>,
    /// The same as a share of all steps
    #[arg(long, value_name = "X")]
    warmup_ratio: Option<f64>,
    /// Learning rate after the warm-up: linear or cosine (both to zero), or constant
    #[arg(long, value_name = "KIND", default_value_t = ScheduleKind::Linear)]
    schedule: ScheduleKind,
    /// Optimiser: adamw, or sgd without momentum
    #[arg(long, value_name = "NAME", default_value = "adamw", value_parser = ["adamw", "sgd"])]
    optimizer: String,
    /// AdamW's decay of the means of gradients and of their squares; 0.9,0.999 unless given
    #[arg(long, value_name = "X,X", value_delimiter = ',')]
    betas: Vec<f64>,
    /// AdamW's decoupled weight decay of matrices; 0.01 unless given
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// Joint L2 norm that gradients are clipped to; 0 clips nothing
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    max_grad_norm: f64,
    /// Train only the weights whose whole names match: 'model\.layers\.[0-3]\..*'
    #[arg(long, value_name = "REGEX", conflicts_with_all = ["lora_rank", "quantized"])]
    train_parameters: Option<String>,
    /// Train an adapter of this rank beside frozen weights; OUT is the merged model, OUT/adapter the adapter for PEFT
    #[arg(long, value_name = "N")]
    lora_rank: Option<usize>,
    /// The adapter's product is scaled by alpha / rank; 2 x rank unless given
    #[arg(long, value_name = "X", requires = "lora_rank")]
    lora_alpha: Option<f64>,
    /// Share of the adapter's inputs that are zeroed in training
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        requires = "lora_rank",
        allow_negative_numbers = true
    )]
    lora_dropout: f64,
    /// Projections to adapt, by name or the end of it: `q_proj,v_proj`; `all-linear` means all inside the layers
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "all-linear",
        requires = "lora_rank"
    )]
    lora_targets: Vec<String>,
    /// Keep the frozen matrices beside the adapter in 8-bit blocks, or as a GGUF file has them: less memory
    #[arg(long, requires = "lora_rank")]
    quantized: bool,
    /// Keep only each layer's input for the gradients and run the layers again: less memory, about a third more time
    #[arg(long)]
    activation_checkpoints: bool,
    /// Seed of the order of documents, of an adapter's beginning and of its dropout
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl TrainingFlags {
    /// Looks at the numbers, before anything is loaded.
    pub(super) fn check(&self) -> Result<()> {
        let positive = [
            ("--steps", self.steps.map(|steps| steps as f64)),
            ("--epochs", self.epochs),
            ("--batch-size", Some(self.batch_size as f64)),
            (
                "--gradient-accumulation",
                Some(self.gradient_accumulation as f64),
            ),
            ("--sequential", self.sequential.map(|parts| parts as f64)),
            ("--lr", Some(self.lr)),
            ("--save-every", self.save_every.map(|steps| steps as f64)),
            ("--lora-rank", self.lora_rank.map(|rank| rank as f64)),
        ];
        for (name, value) in positive {
            value.map_or(Ok(()), |value| super::positive(name, value))?;
        }
        let bounded = [
            ("--weight-decay", self.weight_decay, f64::INFINITY),
            ("--max-grad-norm", Some(self.max_grad_norm), f64::INFINITY),
            ("--warmup-ratio", self.warmup_ratio, 1.0),
            ("--lora-dropout", Some(self.lora_dropout), 1.0),
            ("--betas", self.betas.first().copied(), 1.0),
            ("--betas", self.betas.get(1).copied(), 1.0),
        ];
        for (name, value, below) in bounded {
            let Some(value) = value else { continue };
            if !(value >= 0.0 && value < below) {
                let above = if below.is_finite() {
                    format!(" and must be below {below}")
                } else {
                    String::new()
                };
                let message = format!("{name} {value}: must not be negative{above}");
                return Err(Refused(message).into());
            }
        }
        self.optimizer().map(drop)
    }

    /// The settings of a run on so many forget documents.
    pub(super) fn options(&self, forget_documents: usize) -> Result<TrainingOptions> {
        let mut options = TrainingOptions {
            parameters: self.parameters(),
            batch_size: self.batch_size,
            gradient_accumulation: self.gradient_accumulation,
            optimizer: self.optimizer()?,
            learning_rate: self.lr,
            schedule: self.schedule,
            max_gradient_norm: (self.max_grad_norm > 0.0).then_some(self.max_grad_norm),
            stop_when: self.stop_when.clone(),
            save_every: self.save_every,
            activation_checkpoints: self.activation_checkpoints,
            seed: self.seed,
            ..TrainingOptions::default()
        };
        if let (Some(parts), Some(epochs)) = (self.sequential, self.epochs) {
            let (parts, batches) = self.parts(parts, epochs, forget_documents)?;
            options.gradient_accumulation = batches;
            options.steps = parts.parts * parts.epochs;
            options.sequential = Some(parts);
        } else if let Some(epochs) = self.epochs {
            let documents = epochs * forget_documents as f64;
            options.steps = (documents / options.documents_a_step() as f64).ceil() as usize;
        } else {
            options.steps = self.steps.unwrap_or(options.steps);
        }
        options.warmup_steps = match self.warmup_ratio {
            Some(ratio) => (ratio * options.steps as f64).ceil() as usize,
            None => self.warmup_steps.unwrap_or(0),
        };
        Ok(options)
    }

    /// The parts that the forget set is cut into, and the batches of each.
    fn parts(
        &self,
        parts: usize,
        epochs: f64,
        forget_documents: usize,
    ) -> Result<(SequentialParts, usize)> {
        if epochs.fract() != 0.0 {
            let message = format!("--epochs {epochs}: with --sequential, a whole number");
            return Err(Refused(message).into());
        }
        let step = parts * self.batch_size;
        if !forget_documents.is_multiple_of(step) {
            let most = forget_documents / step * step;
            let way_out = match most {
                0 => "take fewer parts or smaller batches".to_owned(),
                most => format!("--limit {most} does"),
            };
            let message = format!(
                "--sequential {parts}: {forget_documents} forget documents do not make {parts} equal parts of whole batches of {}; {way_out}",
                self.batch_size
            );
            return Err(Refused(message).into());
        }
        let epochs = epochs as usize;
        Ok((SequentialParts { parts, epochs }, forget_documents / step))
    }

    fn parameters(&self) -> TrainedParameters {
        if let Some(pattern) = &self.train_parameters {
            return TrainedParameters::Matching(pattern.clone());
        }
        let Some(rank) = self.lora_rank else {
            return TrainedParameters::All;
        };
        TrainedParameters::Adapter {
            lora: LoraConfig {
                rank,
                alpha: self.lora_alpha.unwrap_or(2.0 * rank as f64),
                dropout: self.lora_dropout,
                targets: self.lora_targets.clone(),
                ..LoraConfig::default()
            },
            quantized: self.quantized,
        }
    }

    fn optimizer(&self) -> Result<OptimizerOptions> {
        let sgd = self.optimizer == "sgd";
        if sgd && !(self.betas.is_empty() && self.weight_decay.is_none()) {
            let message = "--optimizer sgd has neither --betas nor --weight-decay; leave them out";
            return Err(Refused(message.to_owned()).into());
        }
        let [beta1, beta2] = match self.betas[..] {
            [] => [0.9, 0.999],
            [beta1, beta2] => [beta1, beta2],
            _ => return Err(Refused("--betas: two numbers, as 0.9,0.999".to_owned()).into()),
        };
        Ok(if sgd {
            OptimizerOptions::Sgd
        } else {
            OptimizerOptions::AdamW {
                beta1,
                beta2,
                weight_decay: self.weight_decay.unwrap_or(0.01),
            }
        })
    }
}
