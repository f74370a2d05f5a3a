//! `harness demo`: the whole story on a small made-up world.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::demo::DemoOptions;
use harness_bench::experiment::{Jobs, NOISE_METHOD};
use harness_bench::{RunDirectory, demo};
use harness_data::DataSource;
use harness_host::MethodPath;
use harness_task::TaskLibrary;

use super::bench::{competitors, find_all, write_outputs};
use crate::locations::{method_folders, task_folders};
use crate::options::worker;
use crate::output;
use crate::progress::Terminal;

/// Watch a small model learn a made-up world, forget a part of it, and be attacked; ends in the scorecard
///
/// Trains a model on everything and two oracles without the forget set, runs every method there is, scores and relearns
/// each. Some three minutes on two cores. Finished stages are kept in the run directory and not repeated.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  harness demo\n  harness demo --seed 1 --output-path runs/demo-1\n  harness demo --methods npo,rmu"
)]
pub(crate) struct Demo {
    /// Run directory: models, logs, scorecard.json and report.html
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    output_path: PathBuf,
    /// Methods, separated by commas; all there are unless given
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    methods: Vec<String>,
    /// Seed of weights, order of documents and attack
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Models to work on at once, which share the threads between them: a number, or auto, as many as threads and free memory
    /// allow; the scores do not depend on it
    #[arg(long, value_name = "N", default_value_t)]
    jobs: Jobs,
    /// Folder with further method libraries (repeatable)
    #[arg(long, value_name = "DIR")]
    method_path: Vec<PathBuf>,
}

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        let library = TaskLibrary::open(&task_folders(&[]))?;
        let path = MethodPath::new(method_folders(&self.method_path)?);
        let wanted = match self.methods.as_slice() {
            [] => competitors(&path)?,
            named => named.to_vec(),
        };
        let ids = wanted.into_iter().chain([NOISE_METHOD.to_owned()]);
        let methods = find_all(&path, ids)?;
        let run = RunDirectory::claim(&self.output_path, "demo")?;
        let mut terminal = Terminal::default();
        let record = demo::run(
            DemoOptions {
                methods,
                seed: self.seed,
                jobs: self.jobs,
            },
            &library,
            &DataSource::new(Vec::new()),
            &worker()?,
            &run,
            &mut |event| terminal.show(event),
        )?;
        output::print(&write_outputs(&record, run.path())?)
    }
}
