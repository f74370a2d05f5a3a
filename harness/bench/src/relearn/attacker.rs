//! Who attacks: what is trained on, how fast, how much of the model, in which order; and when it is looked at. Runs nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finetune::FineTuning;

/// What an attacker trains on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AttackData {
    /// The part of the forget set that is not held out.
    Forget,
    /// The related task.
    Related,
    /// The unrelated task.
    Unrelated,
}

impl AttackData {
    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forget => "forget",
            Self::Related => "related",
            Self::Unrelated => "unrelated",
        }
    }
}

/// One attacker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attacker {
    /// What it trains on.
    pub data: AttackData,
    /// How.
    pub tuning: FineTuning,
}

impl Attacker {
    /// The same settings, to train on the related task.
    pub(super) fn on_related_data(self) -> Self {
        Self {
            data: AttackData::Related,
            ..self
        }
    }

    /// In a few words: `forget, lr 1e-5, LoRA 8, seed 0`.
    pub fn describe(&self) -> String {
        let lora = self
            .tuning
            .lora_rank
            .map_or(String::new(), |rank| format!(", LoRA {rank}"));
        format!(
            "{}, lr {:e}{lora}, seed {}",
            self.data.name(),
            self.tuning.learning_rate,
            self.tuning.seed
        )
    }
}

/// A grid of attackers.
#[derive(Clone, Debug, PartialEq)]
pub struct Attackers {
    /// What they train on.
    pub data: Vec<AttackData>,
    /// Learning rates.
    pub learning_rates: Vec<f64>,
    /// Ranks of adapters; absent: every weight is trained.
    pub lora_ranks: Vec<Option<usize>>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Everything else.
    pub tuning: FineTuning,
}

impl Attackers {
    /// Every combination, in a fixed order.
    pub fn all(&self) -> Vec<Attacker> {
        let mut all = Vec::new();
        for &data in &self.data {
            for &learning_rate in &self.learning_rates {
                for &lora_rank in &self.lora_ranks {
                    let tuning = |&seed: &u64| FineTuning {
                        learning_rate,
                        lora_rank,
                        seed,
                        ..self.tuning
                    };
                    let attackers = self.seeds.iter().map(tuning);
                    all.extend(attackers.map(|tuning| Attacker { data, tuning }));
                }
            }
        }
        all
    }
}

/// Steps after which a model under attack is asked: none, the powers of two, every k-th, and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationGrid {
    /// Distance of the regular evaluations in steps; 0: none besides the powers of two.
    pub every: usize,
}

impl EvaluationGrid {
    /// Whether the model is asked after `step` of `steps` steps.
    pub fn includes(self, step: usize, steps: usize) -> bool {
        step == 0
            || step == steps
            || step.is_power_of_two()
            || (self.every > 0 && step.is_multiple_of(self.every))
    }
}

#[cfg(test)]
mod tests {
    use super::{AttackData, Attackers, EvaluationGrid};
    use crate::finetune::FineTuning;

    #[test]
    fn the_grid_is_dense_at_the_start_and_regular_later() {
        let steps = |every| -> Vec<usize> {
            let grid = EvaluationGrid { every };
            (0..=20).filter(|&step| grid.includes(step, 20)).collect()
        };
        assert_eq!(steps(6), [0, 1, 2, 4, 6, 8, 12, 16, 18, 20]);
        assert_eq!(steps(0), [0, 1, 2, 4, 8, 16, 20]);
    }

    #[test]
    fn every_combination_once() {
        let attackers = Attackers {
            data: vec![AttackData::Forget, AttackData::Unrelated],
            learning_rates: vec![1e-5, 3e-5],
            lora_ranks: vec![None, Some(8)],
            seeds: vec![0, 1, 2],
            tuning: FineTuning::default(),
        };
        let mut all: Vec<String> = attackers
            .all()
            .iter()
            .map(super::Attacker::describe)
            .collect();
        assert_eq!(all[3], "forget, lr 1e-5, LoRA 8, seed 0");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 24);
    }
}
