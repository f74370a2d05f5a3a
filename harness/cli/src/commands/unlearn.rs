//! `harness unlearn`: run a method on a model and write the result as a model directory.

mod child;
mod dry_run;
mod event_files;
mod roles;
mod training_flags;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::Event;
use harness_bench::unlearn::{UnlearnJob, UnlearnSummary, find_method, run};
use harness_host::{MethodDescription, MethodPath};
use harness_model::{Model, Staging};

use crate::exit::Refused;
use crate::locations::method_folders;
use crate::model_source::ModelSource;
use crate::options::{TaskOptions, device};
use crate::output;
use crate::progress::Terminal;
use event_files::EventFiles;

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
    /// Folder with further method libraries (repeatable)
    #[arg(long, value_name = "DIR")]
    method_path: Vec<PathBuf>,
    /// Where the unlearned model goes
    #[arg(long, value_name = "OUT")]
    output_path: PathBuf,
    /// Print the plan with its memory and time, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Also write event files for TensorBoard: into a folder of OUT's name in DIR, or into OUT/tensorboard
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[allow(clippy::option_option, reason = "absent, given, given with a value")]
    tensorboard: Option<Option<PathBuf>>,
    /// Where to compute
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu")]
    device: String,
    // Options that come after a group stand under its heading: where data lies belongs to the data.
    #[command(flatten)]
    roles: roles::RoleOptions,
    #[command(flatten)]
    tasks_and_data: TaskOptions,
    #[command(flatten)]
    training: training_flags::TrainingFlags,
    #[command(flatten)]
    child: child::ChildOptions,
}

const EXAMPLES: &str = "Examples:
  harness unlearn --config run.yaml --dry-run
  harness unlearn --model DIR --method npo --forget tofu_forget01 --retain tofu_retain99 --steps 20 --data-dir DATA --output-path OUT
  harness unlearn --model DIR --method ./libharness_method_mine.so --set beta=0.2 --forget my_task.yaml --output-path OUT
  harness unlearn --model DIR --method npo --forget f.yaml --retain r.yaml --lora-rank 8 --epochs 5 --output-path OUT --tensorboard events";

impl Unlearn {
    pub(crate) fn run(self) -> Result<()> {
        device(&self.device)?;
        self.training.check()?;
        Staging::left_behind(&self.output_path)?;
        let mut terminal = Terminal::default();
        let (job, description) = self.job(&mut terminal)?;
        if self.dry_run {
            let output = self.output_path.display().to_string();
            return output::print(&dry_run::table(&job, &description, &output)?.plain());
        }
        let name = format!("unlearn with {}", self.method);
        terminal.show(Event::StageStarted {
            name,
            total: Some(job.training.steps),
            unit: "steps",
        });
        let mut events = EventFiles::new(self.tensorboard.as_ref(), &self.output_path);
        let mut observer = |event| {
            if let Event::Step(step) = &event
                && let Some(problem) = events.add(step)
            {
                terminal.show(Event::Message(problem));
            }
            terminal.show(event);
        };
        let summary = run(&self.child.worker()?, job, &self.output_path, &mut observer);
        if summary.is_err() {
            terminal.show(Event::StageFinished {
                remark: "failed".into(),
            });
        }
        let summary = summary?;
        terminal.show(Event::StageFinished {
            remark: "done".into(),
        });
        if let Some(reason) = &summary.stopped {
            terminal.show(Event::Message(format!("stopped early at {reason}")));
        }
        output::print(&format!(
            "{}: {} steps, {} tokens in {:.1} s, {:.2} GB at the peak{}\n",
            self.output_path.display(),
            summary.steps,
            summary.tokens,
            summary.seconds,
            summary.peak_memory_bytes as f64 / 1e9,
            loss(&summary)
        ))
    }

    /// Everything that can be wrong with the request is found here, before anything is computed.
    fn job(&self, terminal: &mut Terminal) -> Result<(UnlearnJob, MethodDescription)> {
        let path = MethodPath::new(method_folders(&self.method_path)?);
        let (library, description) = find_method(&self.child.worker()?, &path, &self.method)?;
        let options = description.parse_settings(&self.settings)?;
        let roles = self.roles.load(&self.tasks_and_data, &description)?;
        let training = self.training.options(roles.forget.len())?;
        let model = ModelSource::new(&self.model).locate(terminal)?;
        Model::check(&model)?;
        let job = UnlearnJob {
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
        };
        Ok((job, description))
    }
}

/// Refuses zero, negative numbers and NaN.
pub(super) fn positive(option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Refused(format!("{option} {value}: must be positive")).into())
}

/// From the first step to the last; nothing where no step has a loss.
fn loss(summary: &UnlearnSummary) -> String {
    let (first, last) = (summary.first_loss, summary.last_loss);
    if first.is_nan() {
        return String::new();
    }
    format!(", loss {first:.4} → {last:.4}")
}
