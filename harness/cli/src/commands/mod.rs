//! The subcommands, one file each.

mod bench;
mod config;
mod demo;
mod eval;
mod finetune;
mod methods;
mod model;
mod relearn;
mod report;
mod tasks;
mod unlearn;
mod worker;

use clap::Subcommand;

pub(crate) use config::with_config;

/// What can be meant by a misspelt command.
pub(crate) const NAMES: [&str; 10] = [
    "demo", "eval", "finetune", "unlearn", "relearn", "bench", "report", "tasks", "methods",
    "model",
];

#[derive(Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Eval(Box<eval::Eval>),
    Finetune(finetune::Finetune),
    Unlearn(Box<unlearn::Unlearn>),
    Relearn(Box<relearn::Relearn>),
    Bench(Box<bench::Bench>),
    Report(report::Report),
    Tasks(tasks::Tasks),
    Methods(methods::Methods),
    Model(model::ModelCommand),
    Worker(worker::Worker),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Demo(command) => command.run(),
            Self::Eval(command) => command.run(),
            Self::Finetune(command) => command.run(),
            Self::Unlearn(command) => command.run(),
            Self::Relearn(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Report(command) => command.run(),
            Self::Tasks(command) => command.run(),
            Self::Methods(command) => command.run(),
            Self::Model(command) => command.run(),
            Self::Worker(command) => command.run(),
        }
    }
}
