//! How much goes through the model at a time: options that trade memory for speed and change no score.

use anyhow::Result;
use bytesize::ByteSize;
use clap::Args;
use harness_engine::{MemoryBudget, Scorer};

use crate::exit::Refused;

#[derive(Args)]
pub(super) struct SizingOptions {
    /// Sequences that go through the model at a time: a number, or auto, which goes by memory
    #[arg(long, short = 'b', value_name = "N", default_value = "auto")]
    pub(super) batch_size: String,
    /// Memory to use besides the weights, such as 512MiB or 4GB; half of what is free unless given
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<String>,
}

impl SizingOptions {
    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> Result<()> {
        self.batch_sequences()?;
        self.memory().map(|_| ())
    }

    pub(super) fn apply(&self, scorer: Scorer) -> Result<Scorer> {
        let scorer = scorer.with_memory(self.memory()?);
        Ok(scorer.with_batch_sequences(self.batch_sequences()?))
    }

    fn memory(&self) -> Result<MemoryBudget> {
        let Some(size) = &self.max_memory else {
            return Ok(MemoryBudget::of_free_memory());
        };
        let bytes = size.parse::<ByteSize>().ok();
        match bytes.and_then(|bytes| usize::try_from(bytes.as_u64()).ok()) {
            Some(bytes) if bytes > 0 => Ok(MemoryBudget::from_bytes(bytes)),
            _ => {
                let message = format!("--max-memory {size}: a size such as 512MiB or 4GB");
                Err(Refused(message).into())
            }
        }
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
