//! The child process that holds a method's library. Started by `harness` itself, not by people.

use clap::Args;

/// Serve one job from standard input (internal)
#[derive(Args)]
#[command(hide = true)]
pub(crate) struct Worker {}

impl Worker {
    #[allow(clippy::unused_self, reason = "every command is run the same way")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let input = std::io::BufReader::new(std::io::stdin());
        Ok(harness_bench::unlearn::serve(
            input,
            &mut std::io::stdout(),
        )?)
    }
}
