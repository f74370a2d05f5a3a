//! What the attacks on one model came to, as it lies on disk: every attacker's way back, the best one's times, damage, and what
//! came back without training. Plain values; judges nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::relearn::{
    AttackerVerdict, Budget, ControlVerdict, CurveVerdict, QuestionKind, RecoveryPoint,
    UntrainedAttackKind, UntrainedVerdict, Verdict, Yardstick,
};

/// How attackers bring the knowledge back: the times are those of the best of all attackers tried. What older records lack is
/// absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// What it takes until half of what lies between oracle and original is back.
    pub half: Budget,
    /// Until nine tenths are.
    pub nine_tenths: Budget,
    /// Until all is.
    pub full: Budget,
    /// Mean recovery over a logarithmic grid of samples.
    pub area: f64,
    /// Samples and recovery of each evaluation.
    pub curve: Vec<(usize, f64)>,
    /// The questions that this was read from.
    #[serde(default)]
    pub questions: Option<QuestionKind>,
    /// The best attacker: what it trains on, learning rate, rank, seed.
    #[serde(default)]
    pub best: Option<String>,
    /// What its first step alone brings back.
    #[serde(default)]
    pub first_step: Option<f64>,
    /// 1: resists like a model that never knew; 0: like the original.
    #[serde(default)]
    pub resistance: Option<f64>,
    /// All attackers, the best among them.
    #[serde(default)]
    pub attackers: Vec<AttackerRecovery>,
    /// How the model stands on what it should not have forgotten.
    #[serde(default)]
    pub control: Option<ControlVerdict>,
    /// Recovery without training, of the model as it is first.
    #[serde(default)]
    pub untrained: Vec<UntrainedVerdict>,
}

/// What one attacker achieved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttackerRecovery {
    /// What it trains on, learning rate, rank, seed.
    pub attacker: String,
    /// How it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<WayBack>,
    /// Why it came to no end, such as when training diverged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// An attacker's way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WayBack {
    /// Recovery at each evaluation.
    pub points: Vec<RecoveryPoint>,
    /// What it takes until half is back.
    pub half: Budget,
    /// Until nine tenths are.
    pub nine_tenths: Budget,
    /// Until all is.
    pub full: Budget,
    /// Mean recovery over a logarithmic grid of samples.
    pub area: f64,
}

impl Recovery {
    /// Of a verdict; `None` where no attacker came to an end, or the anchors leave no scale.
    pub(super) fn of(verdict: &Verdict, resistance: Option<f64>) -> Option<Self> {
        let questions = verdict.headline;
        let best = verdict.best_attacker()?;
        let curve = best.curve(questions, Yardstick::Loss)?;
        let [half, nine_tenths, full] = curve.times;
        let of_attacker = |one| AttackerRecovery::of(one, questions);
        Some(Self {
            half,
            nine_tenths,
            full,
            area: curve.area,
            curve: (curve.points.iter())
                .map(|point| (point.spend.samples, point.recovery))
                .collect(),
            questions: Some(questions),
            best: Some(best.attacker.describe()),
            first_step: Some(curve.first_jump()),
            resistance,
            attackers: verdict.attackers.iter().map(of_attacker).collect(),
            control: verdict.control,
            untrained: verdict.untrained.clone(),
        })
    }

    /// Recovery by loss under an attack without training, or of the model as it is: on the questions of the curves, or, where
    /// those are not asked, on held-out ones.
    pub(super) fn without_training(&self, kind: Option<UntrainedAttackKind>) -> Option<f64> {
        let on = |questions| {
            let fits = |one: &&UntrainedVerdict| one.kind == kind && one.questions == questions;
            self.untrained.iter().find(fits)?.by_loss
        };
        on(self.questions?).or_else(|| on(QuestionKind::HeldOut))
    }

    /// Nine tenths by each attacker that came to an end.
    pub(super) fn spread(&self) -> impl Iterator<Item = Budget> {
        let ways = self
            .attackers
            .iter()
            .filter_map(|one| one.way_back.as_ref());
        ways.map(|way| way.nine_tenths)
    }
}

impl AttackerRecovery {
    fn of(verdict: &AttackerVerdict, questions: QuestionKind) -> Self {
        let curve = verdict.curve(questions, Yardstick::Loss);
        Self {
            attacker: verdict.attacker.describe(),
            way_back: curve.map(WayBack::of),
            failure: verdict.failure.clone(),
        }
    }
}

impl WayBack {
    fn of(curve: &CurveVerdict) -> Self {
        let [half, nine_tenths, full] = curve.times;
        Self {
            points: curve.points.clone(),
            half,
            nine_tenths,
            full,
            area: curve.area,
        }
    }
}
