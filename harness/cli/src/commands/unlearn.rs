//! `harness unlearn`: run a method on a model and write the result as a model directory.

mod child;
mod roles;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::Event;
use harness_bench::unlearn::{TrainingOptions, UnlearnJob, find_method, run};
use harness_host::MethodPath;
use harness_model::train::ScheduleKind;
use harness_model::{Model, check_output};

use crate::exit::Refused;
use crate::locations::method_folders;
use crate::model_source::ModelSource;
use crate::options::{TaskOptions, device};
use crate::output;
use crate::progress::Terminal;

/// Make a model forget: run an unlearning method from a plugin library
///
/// OUT becomes a model directory that `harness eval` and Python's transformers load, with a line a step in
/// OUT/unlearn.jsonl. Until the run is whole, everything lies in OUT.partial.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Unlearn {
    /// YAML file with options of this command, by their names; the command line goes before it
    #[arg(long, short = 'C', value_name = "FILE")]
    config: Option<PathBuf>,
    /// The original model: a directory, a GGUF file or a hub id
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME")]
    model: PathBuf,
    /// Method: a name, or the path of its library
    #[arg(long, value_name = "NAME|LIB")]
    method: String,
    /// Option of the method (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    roles: roles::RoleOptions,
    /// Where the unlearned model goes
    #[arg(long, value_name = "OUT")]
    output_path: PathBuf,
    /// Optimiser steps
    #[arg(long, value_name = "N", default_value_t = 50)]
    steps: usize,
    /// Forget documents a step, and as many retain documents
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
    /// Learning rate after the warm-up: linear (to zero) or constant
    #[arg(long, value_name = "KIND", default_value_t = ScheduleKind::Linear)]
    schedule: ScheduleKind,
    /// Decoupled weight decay of matrices
    #[arg(long, value_name = "X", default_value_t = 0.01)]
    weight_decay: f64,
    /// Joint L2 norm that gradients are clipped to; 0 clips nothing
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    max_grad_norm: f64,
    /// Keep only each layer's input for the gradients and run the layers again: less memory, about a third more time
    #[arg(long)]
    activation_checkpoints: bool,
    /// Seed of the order of documents
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to compute
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu")]
    device: String,
    /// Folder with further method libraries (repeatable)
    #[arg(long, value_name = "DIR")]
    method_path: Vec<PathBuf>,
    #[command(flatten)]
    child: child::ChildOptions,
    #[command(flatten)]
    tasks_and_data: TaskOptions,
}

const EXAMPLES: &str = "Examples:
  harness unlearn --model DIR --method npo --forget tofu_forget01 --retain tofu_retain99 --steps 20 --data-dir DATA --output-path OUT
  harness unlearn --model DIR --method ./libharness_method_mine.so --set beta=0.2 --forget my_task.yaml --output-path OUT";

impl Unlearn {
    pub(crate) fn run(self) -> Result<()> {
        device(&self.device)?;
        let training = self.training()?;
        check_output(&self.output_path)?;
        let mut terminal = Terminal::default();
        let job = self.job(training, &mut terminal)?;
        let name = format!("unlearn with {}", self.method);
        terminal.show(Event::StageStarted {
            name,
            total: Some(self.steps),
            unit: "steps",
        });
        let summary = run(
            &self.child.worker()?,
            job,
            &self.output_path,
            &mut |event| {
                terminal.show(event);
            },
        );
        if summary.is_err() {
            terminal.show(Event::StageFinished {
                remark: "failed".into(),
            });
        }
        let summary = summary?;
        terminal.show(Event::StageFinished {
            remark: "done".into(),
        });
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

    /// Everything that can be wrong with the request is found here, before anything is computed.
    fn job(&self, training: TrainingOptions, terminal: &mut Terminal) -> Result<UnlearnJob> {
        let path = MethodPath::new(method_folders(&self.method_path)?);
        let (library, description) = find_method(&self.child.worker()?, &path, &self.method)?;
        let options = description.parse_settings(&self.settings)?;
        let roles = self.roles.load(&self.tasks_and_data, &description)?;
        let model = ModelSource::new(&self.model).locate(terminal)?;
        Model::check(&model)?;
        Ok(UnlearnJob {
            model,
            device: device(&self.device)?,
            library,
            options,
            forget_task: self.roles.forget.clone(),
            forget: roles.forget,
            retain_task: roles.retain_task,
            retain: roles.retain,
            normal_task: roles.normal_task,
            normal: roles.normal,
            alternate_task: roles.alternate_task,
            alternate: roles.alternate,
            refusals: roles.refusals,
            mismatched_answers: description.default_count("mismatched_answers"),
            training,
            output: PathBuf::new(),
        })
    }

    fn training(&self) -> Result<TrainingOptions> {
        positive("--steps", self.steps as f64)?;
        positive("--batch-size", self.batch_size as f64)?;
        positive("--lr", self.lr)?;
        for (name, value) in [
            ("--weight-decay", self.weight_decay),
            ("--max-grad-norm", self.max_grad_norm),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(Refused(format!("{name} {value}: must not be negative")).into());
            }
        }
        Ok(TrainingOptions {
            steps: self.steps,
            batch_size: self.batch_size,
            learning_rate: self.lr,
            warmup_steps: self.warmup_steps,
            schedule: self.schedule,
            weight_decay: self.weight_decay,
            max_gradient_norm: (self.max_grad_norm > 0.0).then_some(self.max_grad_norm),
            activation_checkpoints: self.activation_checkpoints,
            seed: self.seed,
            ..TrainingOptions::default()
        })
    }
}

/// Refuses zero, negative numbers and NaN.
pub(super) fn positive(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Refused(format!("{option} {value}: must be positive")).into())
}
