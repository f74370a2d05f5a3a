//! Options that lm-eval's users pass and that have nothing to do here: accepted, and explained where someone may wait for an
//! effect.

use clap::Args;

use crate::options::truth;

#[derive(Args)]
#[command(next_help_heading = "Accepted for lm-eval's sake, without effect")]
pub(super) struct AcceptedOptions {
    /// Prompts are made anew in every run: it takes moments
    #[arg(long, value_name = "true|refresh|delete", num_args = 0..=1, default_missing_value = "true")]
    cache_requests: Option<String>,
    /// Batches go by tokens
    #[arg(long, value_name = "N")]
    max_batch_size: Option<usize>,
    /// Code that a model wrote is never run
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    confirm_run_unsafe_code: Option<bool>,
    /// There is nothing to make quieter
    #[arg(long, short = 'v', value_name = "LEVEL")]
    verbosity: Option<String>,
}

impl AcceptedOptions {
    /// What to tell who passed one of them.
    pub(super) fn remarks(&self) -> Vec<String> {
        let given = [
            (
                self.cache_requests.is_some(),
                "--cache-requests has no effect: prompts are made anew in every run, which takes moments",
            ),
            (
                self.max_batch_size.is_some(),
                "--max-batch-size has no effect: batches go by tokens, and no score depends on them",
            ),
            (
                self.confirm_run_unsafe_code == Some(true),
                "--confirm-run-unsafe-code has no effect: code that a model wrote is never run",
            ),
        ];
        let said = given.into_iter().filter(|(given, _)| *given);
        said.map(|(_, remark)| remark.to_owned()).collect()
    }
}
