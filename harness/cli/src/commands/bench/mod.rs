//! `harness bench`: an experiment from its YAML, or from flags: unlearn, score, attack, and the scorecard that comes of it.

mod materials;
mod measures;
mod outputs;
mod plan_text;
mod utility;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::experiment::{
    Capacity, Experiment, ExperimentSpec, Foresight, Jobs, LEADERBOARD, MethodSpec, plan,
};
use harness_bench::{Event, RunDirectory};

use crate::exit::Refused;
use crate::options::{TaskOptions, worker};
use crate::output;
use crate::progress::Terminal;

pub(super) use materials::{competitors, find_all};
pub(super) use outputs::write_outputs;
use plan_text::PlanText;

/// Run an experiment: every method beside the original and an oracle, on forgetting, utility, relearning and cost
///
/// What is done is kept in the run directory and not repeated: the same command goes on where a killed run stopped.
#[derive(Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Bench {
    /// The experiment
    #[arg(value_name = "EXPERIMENT.yaml", conflicts_with_all = ["model", "forget", "methods"])]
    experiment: Option<PathBuf>,
    /// Without a file: the original model
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME", requires = "forget")]
    model: Option<PathBuf>,
    /// A model that never saw the forget set
    #[arg(long, value_name = "DIR", requires = "model")]
    oracle: Option<PathBuf>,
    /// Task whose answers are to be forgotten
    #[arg(long, value_name = "TASK", requires = "model")]
    forget: Option<String>,
    /// Task whose answers are to be kept
    #[arg(long, value_name = "TASK", requires = "model")]
    retain: Option<String>,
    /// Tasks that measure what must stay useful, separated by commas, or `none`
    #[arg(
        long,
        value_name = "TASKS",
        value_delimiter = ',',
        requires = "model",
        default_value = LEADERBOARD
    )]
    tasks: Vec<String>,
    /// Methods, separated by commas, or `all`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "model")]
    methods: Vec<String>,
    /// Seeds of unlearning, separated by commas
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        requires = "model",
        default_value = "0"
    )]
    seeds: Vec<u64>,
    /// Learning rates, separated by commas: each is a row
    #[arg(
        long,
        value_name = "X",
        value_delimiter = ',',
        requires = "model",
        default_value = "1e-5"
    )]
    lr: Vec<f64>,
    /// Optimiser steps of each method
    #[arg(long, value_name = "N", requires = "model", default_value_t = 50)]
    steps: usize,
    /// Documents of each utility task: a count, or below 1 a share
    #[arg(long, value_name = "N", requires = "model")]
    limit: Option<f64>,
    /// Run directory: models, stages, scorecard.{json,md}, samples.parquet, report.html; runs/NAME unless given
    #[arg(long, value_name = "DIR")]
    output_path: Option<PathBuf>,
    /// Show the models, what each comes of and what it takes, and stop
    #[arg(long)]
    dry_run: bool,
    /// Models to work on at once, which share the threads between them: a number, or auto, as many as threads and free memory
    /// allow; the scores do not depend on it
    #[arg(long, value_name = "N", default_value_t)]
    jobs: Jobs,
    /// Print the JSON Schema of experiment files, for editors, and stop
    #[arg(long)]
    schema: bool,
    /// Folder with further method libraries (repeatable)
    #[arg(long, value_name = "DIR")]
    method_path: Vec<PathBuf>,
    #[command(flatten)]
    tasks_and_data: TaskOptions,
}

/// Stands for no utility tasks.
const NO_TASKS: &str = "none";

const EXAMPLES: &str = "Examples:
  harness bench experiment.yaml --data-dir DATA
  harness bench --model DIR --oracle DIR --forget tofu_forget01 --retain tofu_retain99 --tasks arc_easy --methods npo,rmu --seeds 0,1,2 --data-dir DATA
  harness bench experiment.yaml --dry-run";

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        if self.schema {
            let schema = serde_json::to_string_pretty(&ExperimentSpec::schema())?;
            return output::print(&format!("{schema}\n"));
        }
        let mut spec = self.spec()?;
        let mut terminal = Terminal::default();
        let materials = self.materials(&mut spec, &mut terminal)?;
        let subjects = plan(&spec);
        let foresight = Foresight::of(&spec, &materials, &subjects)?;
        let capacity = Capacity::now();
        let jobs = self.jobs.at_once(foresight.bytes_each(), capacity);
        let planned = PlanText {
            spec: &spec,
            subjects: &subjects,
            foresight: &foresight,
            capacity,
            jobs,
        };
        if self.dry_run {
            return output::print(&format!("{planned}\n"));
        }
        // What memory is free differs from run to run; the output proper is the card.
        terminal.show(Event::Message(planned.to_string()));
        let run = RunDirectory::claim(&self.run_directory(&spec), "experiment")?;
        let experiment = Experiment {
            spec: &spec,
            materials: &materials,
            run: &run,
            worker: &worker()?,
            jobs,
        };
        let record = experiment.run(&mut |event| terminal.show(event))?;
        let text = write_outputs(&record, run.path())?;
        output::print(&text)
    }

    fn run_directory(&self, spec: &ExperimentSpec) -> PathBuf {
        self.output_path
            .clone()
            .unwrap_or_else(|| PathBuf::from("runs").join(&spec.name))
    }

    fn spec(&self) -> Result<ExperimentSpec> {
        if let Some(file) = &self.experiment {
            return Ok(ExperimentSpec::read(file)?);
        }
        let (Some(model), Some(forget)) = (&self.model, &self.forget) else {
            let message = "name an EXPERIMENT.yaml, or --model and --forget";
            return Err(Refused(message.into()).into());
        };
        if self.methods.is_empty() {
            let message = "name the methods: --methods npo,rmu, or --methods all";
            return Err(Refused(message.into()).into());
        }
        let methods = self.methods.iter().map(|id| MethodSpec::of(id)).collect();
        let mut spec = ExperimentSpec::new(model.clone(), forget.clone(), methods);
        spec.oracle.clone_from(&self.oracle);
        spec.retain.clone_from(&self.retain);
        let named = self.tasks.iter().filter(|task| *task != NO_TASKS);
        spec.utility = named.cloned().collect();
        spec.seeds.clone_from(&self.seeds);
        spec.unlearn.learning_rates.clone_from(&self.lr);
        spec.unlearn.steps = self.steps;
        spec.limits.utility = self.limit;
        spec.check("harness bench")?;
        Ok(spec)
    }
}
