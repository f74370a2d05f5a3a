//! How much goes through the model at a time: options that trade memory for speed and change no score.

use anyhow::Result;
use clap::Args;
use harness_engine::{MemoryBudget, Scorer};

use crate::exit::Refused;
use crate::options::memory_bytes;

#[derive(Args)]
pub(super) struct SizingOptions {
    /// Sequences that go through the model at a time: a number, or auto, which goes by memory
    #[arg(long, short = 'b', value_name = "N", default_value = "auto")]
    pub(super) batch_size: String,
    /// Memory to use besides the weights, such as 512MiB or 4GB; half of what is free unless given
    #[arg(long, value_name = "SIZE", value_parser = memory_bytes)]
    max_memory: Option<usize>,
}

impl SizingOptions {
    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> Result<()> {
        self.batch_sequences().map(drop)
    }

    pub(super) fn apply(&self, scorer: Scorer) -> Result<Scorer> {
        let budget = match self.max_memory {
            Some(bytes) => MemoryBudget::from_bytes(bytes),
            None => MemoryBudget::of_free_memory(),
        };
        let scorer = scorer.with_memory(budget);
        Ok(scorer.with_batch_sequences(self.batch_sequences()?))
    }

    fn batch_sequences(&self) -> Result<usize> {
        match self.batch_size.as_str() {
            auto if auto == "auto" || auto.starts_with("auto:") => Ok(usize::MAX),
            number => number
                .parse()
                .ok()
                .filter(|&sequences: &usize| sequences > 0)
                .ok_or_else(|| {
                    Refused(format!("--batch-size {number}: a positive number, or auto")).into()
                }),
        }
    }
}
