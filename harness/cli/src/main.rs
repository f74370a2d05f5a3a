//! The binary `harness`: parses the command line, runs one subcommand, turns its outcome into an exit code.
//!
//! Results go to standard output, progress and errors to standard error.

mod commands;
mod dataset_hub;
mod exit;
mod locations;
mod model_source;
mod options;
mod output;
mod progress;
mod spelling;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser;

/// Does a language model still know what it was made to forget, is it still useful, and how quickly does it come back?
#[derive(Parser)]
#[command(name = "harness", version, max_term_width = 110, after_help = EXAMPLES)]
struct Arguments {
    /// Threads to compute with; all cores unless given
    #[arg(long, global = true, value_name = "N", help_heading = "Everywhere")]
    threads: Option<NonZeroUsize>,
    #[command(subcommand)]
    command: commands::Command,
}

const EXAMPLES: &str = "Examples:
  harness demo
  harness eval --model DIR --tasks arc_easy,arc_challenge --data-dir DATA
  harness finetune --model BASE --task tofu_forget01 tofu_retain99 --output-path OUT
  harness unlearn --model DIR --method npo --forget tofu_forget01 --retain tofu_retain99 --output-path OUT
  harness relearn --original DIR --unlearned OUT --forget tofu_forget01

Options may be spelt with hyphens or underscores: --num-fewshot is --num_fewshot.
Exit codes: 0 done, 1 the work failed, 2 the request was wrong.";

/// Freed buffers are kept for the next operation instead of being given back to the system: prefill takes a tenth less time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Deep graphs are walked recursively when gradients are computed.
const STACK_BYTES: usize = 256 << 20;

impl Arguments {
    fn run(self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
            pool.build_global()?;
        }
        self.command.run()
    }
}

fn main() -> ExitCode {
    let work = std::thread::Builder::new()
        .name("harness".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(run);
    // A panic has printed its message already.
    let failed = |_| ExitCode::FAILURE;
    work.map_or(ExitCode::FAILURE, |work| work.join().unwrap_or_else(failed))
}

fn run() -> ExitCode {
    let written = spelling::with_hyphens(std::env::args_os()).collect();
    let written = match commands::with_config(written) {
        Ok(written) => written,
        Err(error) => return exit::code(Err(error)),
    };
    let arguments = match Arguments::try_parse_from(written) {
        Ok(arguments) => arguments,
        Err(error) => return spelling::report(&error),
    };
    exit::code(arguments.run())
}
