//! `harness demo`: the whole story on a small made-up world.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::demo::{DemoMethod, DemoOptions};
use harness_bench::unlearn::find_method;
use harness_bench::{RunDirectory, demo};
use harness_data::DataSource;
use harness_host::{MethodPath, Need};
use harness_report::scorecard_text;
use harness_task::TaskLibrary;

use crate::locations::{method_folders, task_folders};
use crate::progress::Terminal;
use crate::{options, output};

const METHODS: [&str; 3] = ["grad_ascent", "grad_diff", "npo"];

/// Watch a small model learn a made-up world, forget a part of it, and be attacked; ends in the scorecard
///
/// Trains a model on everything and an oracle without the forget set, runs three methods, scores and relearns each.
/// About a minute and a half on two cores. Finished stages are kept in the run directory and not repeated.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  harness demo\n  harness demo --seed 1 --output-path runs/demo-1"
)]
pub(crate) struct Demo {
    /// Run directory: models, logs and scorecard.json
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    output_path: PathBuf,
    /// Seed of weights, order of documents and attack
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder with further method libraries (repeatable)
    #[arg(long, value_name = "DIR")]
    method_path: Vec<PathBuf>,
}

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        let library = TaskLibrary::open(&task_folders(&[]))?;
        let worker = options::worker()?;
        let path = MethodPath::new(method_folders(&self.method_path)?);
        let mut methods = Vec::new();
        for id in METHODS {
            let (library, description) = find_method(&worker, &path, id)?;
            methods.push(DemoMethod {
                id: id.to_owned(),
                library,
                needs_retain: description.needs(Need::Retain),
            });
        }
        let run = RunDirectory::claim(&self.output_path, "demo")?;
        let mut terminal = Terminal::default();
        let demo_options = DemoOptions {
            methods,
            seed: self.seed,
        };
        let source = DataSource::new(Vec::new());
        let card = demo::run(
            &demo_options,
            &library,
            &source,
            &worker,
            &run,
            &mut |event| terminal.show(event),
        )?;
        output::print(&format!(
            "{}\nKept in {}: models/, stages/ and scorecard.json\n",
            scorecard_text(&card),
            run.path().display()
        ))
    }
}
