//! What attackers tell of one row of the scorecard besides the times themselves: their spread, resistance, damage, what comes back
//! without training. Absent where an older record lacks it.

use std::collections::BTreeMap;

use harness_metric::{Survival, SurvivalTime, mean};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recovery::Recovery;
use crate::error::Result;
use crate::relearn::{Budget, DAMAGED_BELOW, UntrainedAttackKind};

/// What attackers tell of a row: means over its models where nothing else is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttackStanding {
    /// Attackers on each model.
    pub attackers: usize,
    /// Attacks on all models that came to no end, such as when training diverged.
    pub failures: usize,
    /// The best attacker on each model, each named once.
    pub best: Vec<String>,
    /// Samples to nine tenths by the fastest attacker on any model.
    pub fastest: Bounded,
    /// And by the slowest.
    pub slowest: Bounded,
    /// Floating-point operations to nine tenths by the best attacker, median.
    pub flops: Bounded,
    /// What the first step alone brings back.
    pub first_step: Option<f64>,
    /// 1: resists like a model that never knew; 0: like the original.
    pub resistance: Option<f64>,
    /// How the models stand on what they should not have forgotten.
    pub control: Option<ControlStanding>,
    /// Recovery before any attack.
    pub before: Option<f64>,
    /// Recovery with answered questions before each.
    pub few_shot: Option<f64>,
    /// Recovery after rounding the weights, by number of bits.
    pub rounded: BTreeMap<u32, f64>,
}

/// A number that may be a bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bounded {
    /// The number.
    pub value: f64,
    /// Whether it was reached; otherwise it is more.
    pub is_reached: bool,
}

/// How models stand on what they should not have forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ControlStanding {
    /// Recovery on control questions before any attack: 1 as good as the original.
    pub before: f64,
    /// Whether that is so low that a slow way back may be damage.
    pub is_damaged: bool,
    /// Samples of the related task until nine tenths of it are known again, median.
    pub repair: Option<Bounded>,
}

impl Bounded {
    fn of(time: SurvivalTime) -> Self {
        Self {
            value: time.time,
            is_reached: time.is_reached,
        }
    }

    fn for_order(self) -> f64 {
        if self.is_reached {
            self.value
        } else {
            f64::INFINITY
        }
    }
}

impl AttackStanding {
    /// Of the models of a row; `None` where records have no attackers.
    pub(super) fn of(runs: &[&Recovery]) -> Result<Option<Self>> {
        let spread = runs.iter().flat_map(|run| run.spread());
        let mut spread: Vec<Bounded> = spread.map(|time| Bounded::of(time.in_samples())).collect();
        spread.sort_by(|a, b| a.for_order().total_cmp(&b.for_order()));
        let (Some(&fastest), Some(&slowest)) = (spread.first(), spread.last()) else {
            return Ok(None);
        };
        let failures = runs.iter().flat_map(|run| &run.attackers);
        let attackers = runs.iter().map(|run| run.attackers.len()).max();
        let untrained = |kind| average(runs, |run| run.without_training(kind));
        let kinds: Vec<UntrainedAttackKind> = runs
            .iter()
            .flat_map(|run| run.untrained.iter().filter_map(|one| one.kind))
            .collect();
        let few_shot = kinds
            .iter()
            .find(|kind| matches!(kind, UntrainedAttackKind::FewShot(_)));
        let rounded = kinds.iter().filter_map(|&kind| match kind {
            UntrainedAttackKind::Rounding(bits) => Some((bits, untrained(Some(kind))?)),
            UntrainedAttackKind::FewShot(_) => None,
        });
        Ok(Some(Self {
            attackers: attackers.unwrap_or(0),
            failures: failures.filter(|one| one.failure.is_some()).count(),
            best: names(runs),
            fastest,
            slowest,
            flops: median(runs.iter().map(|run| run.nine_tenths.in_flops()))?,
            first_step: average(runs, |run| run.first_step),
            resistance: average(runs, |run| run.resistance),
            control: ControlStanding::of(runs)?,
            before: untrained(None),
            few_shot: few_shot.and_then(|&kind| untrained(Some(kind))),
            rounded: rounded.collect(),
        }))
    }
}

impl ControlStanding {
    fn of(runs: &[&Recovery]) -> Result<Option<Self>> {
        let controls = runs.iter().filter_map(|run| run.control);
        let before: Vec<f64> = controls.clone().map(|control| control.start).collect();
        if before.is_empty() {
            return Ok(None);
        }
        let repairs: Vec<Budget> = controls.filter_map(|control| control.repair).collect();
        let repair =
            (!repairs.is_empty()).then(|| median(repairs.iter().map(|repair| repair.in_samples())));
        let before = mean(&before)?;
        Ok(Some(Self {
            before,
            is_damaged: before < DAMAGED_BELOW,
            repair: repair.transpose()?,
        }))
    }
}

fn names(runs: &[&Recovery]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in runs.iter().filter_map(|run| run.best.as_ref()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn median(times: impl Iterator<Item = SurvivalTime>) -> Result<Bounded> {
    let times: Vec<SurvivalTime> = times.collect();
    Ok(Bounded::of(Survival::new(&times)?.median()))
}

/// Over the models that have the number.
fn average(runs: &[&Recovery], of: impl Fn(&Recovery) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = runs.iter().filter_map(|run| of(run)).collect();
    mean(&values).ok()
}
