//! The child process that holds a method's library. Started by `harness` itself, not by people.

use std::io::Read;

use clap::Args;

/// Serve one job from standard input (internal)
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct Worker {}

impl Worker {
    #[allow(clippy::unused_self, reason = "every command is run the same way")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut job = String::new();
        std::io::stdin().read_to_string(&mut job)?;
        Ok(harness_bench::unlearn::serve(&job, &mut std::io::stdout())?)
    }
}
