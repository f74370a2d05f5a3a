//! `harness finetune`: plain training on the answers of tasks, to make an original or an oracle. Knows no methods.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::{AnswerSet, Event, FineTuning, FineTuningSummary, TextPair, finetune_into};
use harness_engine::Encoder;
use harness_model::train::ScheduleKind;
use harness_model::{Model, check_output};

use super::unlearn::positive;
use crate::exit::Refused;
use crate::model_source::ModelSource;
use crate::options::{TaskOptions, device, limit};
use crate::output;
use crate::progress::Terminal;

/// Fine-tune a model on the answers of tasks, to make an original or an oracle
///
/// The loss is the mean negative log-likelihood of the answer tokens. OUT becomes a model directory; until it is whole,
/// everything lies in OUT.partial.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Finetune {
    /// The model to start from: a directory, a GGUF file or a hub id
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME")]
    model: PathBuf,
    /// Tasks whose answers are learned
    #[arg(long, value_name = "TASK", required = true, num_args = 1.., value_delimiter = ',')]
    task: Vec<String>,
    /// Where the trained model goes
    #[arg(long, value_name = "OUT")]
    output_path: PathBuf,
    /// Optimiser steps
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    steps: Option<usize>,
    /// Passes over all documents, where no steps are given
    #[arg(long, value_name = "N", default_value_t = 5)]
    epochs: usize,
    /// Documents a step
    #[arg(long, value_name = "N", default_value_t = 4)]
    batch_size: usize,
    /// Peak learning rate of AdamW
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1e-5,
        allow_negative_numbers = true
    )]
    lr: f64,
    /// Steps over which the learning rate rises from zero
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup_steps: usize,
    /// Learning rate after the warm-up: constant, or linear or cosine to zero
    #[arg(long, value_name = "KIND", default_value_t = ScheduleKind::Linear)]
    schedule: ScheduleKind,
    /// Train adapters of this rank on every projection inside the layers, and merge them into the weights
    #[arg(long, value_name = "N")]
    lora_rank: Option<usize>,
    /// Keep only each layer's input for the gradients and run the layers again: less memory, about a third more time
    #[arg(long)]
    activation_checkpoints: bool,
    /// Documents of each task to use: a count, or below 1 a share
    #[arg(long, value_name = "N")]
    limit: Option<f64>,
    /// Seed of the order of documents, and of new adapters
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to compute
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    tasks_and_data: TaskOptions,
}

const EXAMPLES: &str = "Examples:
  harness finetune --model BASE --task tofu_forget01 tofu_retain99 --lr 2e-5 --data-dir DATA --output-path ORIGINAL
  harness finetune --model BASE --task tofu_retain99 --lr 2e-5 --data-dir DATA --output-path ORACLE";

impl Finetune {
    pub(crate) fn run(self) -> Result<()> {
        let device = device(&self.device)?.open()?;
        let pairs = self.pairs()?;
        let options = self.options(pairs.len())?;
        check_output(&self.output_path)?;
        let mut terminal = Terminal::default();
        let source = ModelSource::new(&self.model).locate(&mut terminal)?;
        let model = Model::open(&source, &device)?;
        let encoder = Encoder::new(model.tokenizer.clone(), model.spec.max_positions);
        let set = AnswerSet::new(&self.task.join(","), &pairs, &encoder)?;
        set.require_batch(options.batch_size)?;
        terminal.show(Event::StageStarted {
            name: format!("fine-tune on {}", set.name),
            total: Some(options.steps),
            unit: "steps",
        });
        let observer = &mut |event| terminal.show(event);
        let trained = finetune_into(&self.output_path, &model, &set, &options, observer);
        let remark = if trained.is_ok() { "done" } else { "failed" };
        terminal.show(Event::StageFinished {
            remark: remark.into(),
        });
        self.print(&trained?)
    }

    fn pairs(&self) -> Result<Vec<TextPair>> {
        let (library, limit) = (self.tasks_and_data.library()?, limit(self.limit)?);
        let mut pairs = Vec::new();
        for task in &self.task {
            pairs.extend(self.tasks_and_data.answers(&library, task, limit)?);
        }
        Ok(pairs)
    }

    fn options(&self, documents: usize) -> Result<FineTuning> {
        positive("--batch-size", self.batch_size as f64)?;
        positive("--epochs", self.epochs as f64)?;
        positive("--steps", self.steps.unwrap_or(1) as f64)?;
        positive("--lora-rank", self.lora_rank.unwrap_or(1) as f64)?;
        positive("--lr", self.lr)?;
        let epochs = || FineTuning::steps_of_epochs(self.epochs, documents, self.batch_size);
        let steps = self.steps.unwrap_or_else(epochs);
        if self.warmup_steps >= steps.max(1) {
            let message = format!(
                "--warmup-steps {}: the run has {steps} steps in all",
                self.warmup_steps
            );
            return Err(Refused(message).into());
        }
        Ok(FineTuning {
            steps,
            batch_size: self.batch_size,
            learning_rate: self.lr,
            warmup_steps: self.warmup_steps,
            schedule: self.schedule,
            lora_rank: self.lora_rank,
            activation_checkpoints: self.activation_checkpoints,
            seed: self.seed,
            ..FineTuning::default()
        })
    }

    fn print(&self, summary: &FineTuningSummary) -> Result<()> {
        output::print(&format!(
            "{}: {} steps, {} tokens in {:.1} s, loss {:.4} → {:.4}\n",
            self.output_path.display(),
            summary.steps,
            summary.tokens,
            summary.seconds,
            summary.first_loss,
            summary.last_loss
        ))
    }
}
