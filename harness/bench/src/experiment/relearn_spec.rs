//! Who attacks the models of an experiment, and how: the `relearn` part of its file. Refuses attackers that have nothing to
//! train on.

use harness_model::train::ScheduleKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::numbers::{OneOrMany, numbers};
use crate::finetune::FineTuning;
use crate::relearn::{AttackData, Attackers, UntrainedAttackKind, UntrainedAttackName};

/// The attackers: every combination of data, learning rate, rank and seed, of which the best counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RelearnSpec {
    /// Learning rates.
    #[serde(deserialize_with = "numbers")]
    #[schemars(with = "OneOrMany")]
    pub learning_rates: Vec<f64>,
    /// Seeds of the attack.
    pub seeds: Vec<u64>,
    /// Steps after which the attacker gives up; 0 attacks nothing.
    pub max_steps: usize,
    /// Documents a step.
    pub batch_size: usize,
    /// Ranks of adapters; 0 trains every weight.
    pub lora_ranks: Vec<usize>,
    /// Learning rate over the steps: constant, or linear or cosine to zero.
    #[schemars(schema_with = "schedules")]
    pub schedule: ScheduleKind,
    /// What attackers train on: each adds as many attacks on each model.
    pub data: Vec<AttackData>,
    /// Task near to the forget set, which is not to be forgotten; the retain set if absent. It shows damage.
    pub related: Option<String>,
    /// Task far from it.
    pub unrelated: Option<String>,
    /// Whether the best attacker also trains each model on the related task until it knows that again: how long damage takes
    /// to repair. A model without damage costs a single step.
    pub control: bool,
    /// Attacks without training.
    pub untrained: Vec<UntrainedAttackName>,
    /// Answered questions before each in the few-shot attack.
    pub shots: usize,
}

impl Default for RelearnSpec {
    fn default() -> Self {
        Self {
            learning_rates: vec![1e-5, 3e-5, 1e-4],
            seeds: vec![0],
            max_steps: 60,
            batch_size: 4,
            lora_ranks: vec![0],
            schedule: ScheduleKind::Constant,
            data: vec![AttackData::Forget],
            related: None,
            unrelated: None,
            control: true,
            untrained: vec![UntrainedAttackName::Rounding, UntrainedAttackName::FewShot],
            shots: 4,
        }
    }
}

fn schedules(_: &mut SchemaGenerator) -> Schema {
    let kinds = [
        ScheduleKind::Constant,
        ScheduleKind::Linear,
        ScheduleKind::Cosine,
    ];
    json_schema!({"enum": kinds.map(|kind| kind.to_string())})
}

impl RelearnSpec {
    /// What makes no sense in an experiment whose retain set is `retain`, if anything.
    pub(super) fn problem(&self, retain: Option<&String>) -> Option<&'static str> {
        if self.batch_size == 0 || self.shots == 0 {
            return Some("`relearn: batch_size` and `shots` must be positive");
        }
        if self.max_steps == 0 {
            return None;
        }
        let lists = [
            self.learning_rates.is_empty(),
            self.seeds.is_empty(),
            self.lora_ranks.is_empty(),
            self.data.is_empty(),
        ];
        if lists.contains(&true) {
            return Some(
                "`relearn` needs one of `learning_rates`, `seeds`, `lora_ranks` and `data` at least; `max_steps: 0` attacks nothing",
            );
        }
        let trains_on = |data| self.data.contains(&data);
        if trains_on(AttackData::Related) && self.related.is_none() && retain.is_none() {
            return Some(
                "`relearn: data` has `related`, and neither `related` nor `retain` names a task",
            );
        }
        if trains_on(AttackData::Unrelated) && self.unrelated.is_none() {
            return Some("`relearn: data` has `unrelated`: name its task, `unrelated: TASK`");
        }
        None
    }

    /// Everybody.
    pub(super) fn attackers(&self) -> Attackers {
        let rank = |&rank: &usize| (rank > 0).then_some(rank);
        Attackers {
            data: self.data.clone(),
            learning_rates: self.learning_rates.clone(),
            lora_ranks: self.lora_ranks.iter().map(rank).collect(),
            seeds: self.seeds.clone(),
            tuning: FineTuning {
                steps: self.max_steps,
                batch_size: self.batch_size,
                schedule: self.schedule,
                ..FineTuning::default()
            },
        }
    }

    /// Attacks without training, where weights are rounded to so many `bits`.
    pub(super) fn untrained(&self, bits: &[u32]) -> Vec<UntrainedAttackKind> {
        UntrainedAttackName::kinds(&self.untrained, bits, self.shots)
    }
}
