//! Options that say who attacks: how fast, how much of the model, in which order, for how long.

use anyhow::Result;
use clap::{Args, ValueEnum};
use harness_bench::FineTuning;
use harness_bench::relearn::{AttackData, Attackers};
use harness_model::train::ScheduleKind;

use super::super::unlearn::positive;
use crate::exit::Refused;

/// How many attackers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Grid {
    /// One for each learning rate and seed given
    One,
    /// A third of the learning rate, the rate, three times the rate
    Few,
    /// As few, with three seeds, on all weights and on adapters
    Many,
}

#[derive(Args)]
pub(super) struct AttackerOptions {
    /// Documents a step
    #[arg(long, value_name = "N", default_value_t = 3)]
    batch_size: usize,
    /// Learning rates of AdamW
    #[arg(long, value_name = "X,…", default_values_t = [1e-5], num_args = 1.., value_delimiter = ',', allow_negative_numbers = true)]
    lr: Vec<f64>,
    /// Seeds of the order of documents and of adapters
    #[arg(long, alias = "seed", value_name = "N,…", default_values_t = [0], num_args = 1.., value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Train adapters of this rank on every projection inside the layers instead of all weights
    #[arg(long, value_name = "N")]
    lora_rank: Option<usize>,
    /// Learning rate over the steps: constant, or linear or cosine to zero
    #[arg(long, value_name = "KIND", default_value_t = ScheduleKind::Constant)]
    schedule: ScheduleKind,
    /// Steps after which the attacker gives up
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_steps: usize,
    /// Passes over the forget documents, in place of steps
    #[arg(long, value_name = "N", conflicts_with = "max_steps")]
    epochs: Option<usize>,
    /// Keep only each layer's input for the gradients and run the layers again: less memory, about a third more time
    #[arg(long)]
    activation_checkpoints: bool,
}

/// Rank of the adapters that many attackers train.
const LORA_RANK: usize = 8;

impl AttackerOptions {
    pub(super) fn check(&self) -> Result<()> {
        positive("--batch-size", self.batch_size as f64)?;
        positive("--max-steps", self.max_steps as f64)?;
        positive("--epochs", self.epochs.unwrap_or(1) as f64)?;
        positive("--lora-rank", self.lora_rank.unwrap_or(1) as f64)?;
        for &rate in &self.lr {
            positive("--lr", rate)?;
        }
        twice("--lr", &self.lr)?;
        twice("--seeds", &self.seeds)
    }

    /// More than the rule by training loss has a use for.
    pub(super) fn are_several(&self) -> bool {
        self.lr.len() > 1 || self.seeds.len() > 1
    }

    /// The settings of the first attacker on so many documents.
    pub(super) fn first(&self, documents: usize) -> FineTuning {
        let epochs = |epochs| FineTuning::steps_of_epochs(epochs, documents, self.batch_size);
        FineTuning {
            steps: self.epochs.map_or(self.max_steps, epochs),
            batch_size: self.batch_size,
            learning_rate: self.lr[0],
            schedule: self.schedule,
            lora_rank: self.lora_rank,
            activation_checkpoints: self.activation_checkpoints,
            seed: self.seeds[0],
            ..FineTuning::default()
        }
    }

    /// Everybody in the grid, for so many forget documents.
    pub(super) fn grid(
        &self,
        grid: Grid,
        data: Vec<AttackData>,
        documents: usize,
    ) -> Result<Attackers> {
        if grid != Grid::One && self.lr.len() > 1 {
            let message =
                "--grid few and many spread one learning rate; give one --lr, or --grid one";
            return Err(Refused(message.into()).into());
        }
        let rate = self.lr[0];
        let learning_rates = match grid {
            Grid::One => self.lr.clone(),
            Grid::Few | Grid::Many => vec![rate / 3.0, rate, rate * 3.0],
        };
        let seeds = match grid {
            Grid::Many if self.seeds.len() == 1 => (self.seeds[0]..).take(3).collect(),
            _ => self.seeds.clone(),
        };
        let lora_ranks = match grid {
            Grid::Many => vec![None, Some(self.lora_rank.unwrap_or(LORA_RANK))],
            _ => vec![self.lora_rank],
        };
        Ok(Attackers {
            data,
            learning_rates,
            lora_ranks,
            seeds,
            tuning: self.first(documents),
        })
    }
}

/// Refuses a value that is there twice.
fn twice<T: PartialEq + std::fmt::Display>(option: &str, values: &[T]) -> Result<()> {
    let repeated = values
        .iter()
        .enumerate()
        .find(|(place, value)| values[..*place].contains(value));
    match repeated {
        None => Ok(()),
        Some((_, value)) => Err(Refused(format!("{option}: {value} is there twice")).into()),
    }
}
