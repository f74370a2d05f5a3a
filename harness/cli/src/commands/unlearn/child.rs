//! Options of the child process that holds the method's library: what it may take before it is ended.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use harness_bench::unlearn::{ChildLimits, WorkerCommand};

use crate::options::{memory_bytes, seconds, worker};

#[derive(Args)]
#[command(next_help_heading = "Child process")]
pub(super) struct ChildOptions {
    /// Seconds without a finished step after which the method is ended; also what loading the model may take
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    step_timeout: Duration,
    /// Memory that the child may hold, the model's included, such as 4GB; what is free, less a reserve, unless given
    #[arg(long, value_name = "SIZE", value_parser = memory_bytes)]
    max_memory: Option<usize>,
}

impl ChildOptions {
    /// How the child is started.
    pub(super) fn worker(&self) -> Result<WorkerCommand> {
        let usual = ChildLimits::default();
        let limits = ChildLimits {
            describe: usual.describe.min(self.step_timeout),
            step: self.step_timeout,
            memory_bytes: self.max_memory.map(|bytes| bytes as u64),
        };
        Ok(WorkerCommand {
            limits,
            ..worker()?
        })
    }
}
