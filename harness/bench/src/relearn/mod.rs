//! Relearning: how quickly does an attacker bring the knowledge back, and was it ever gone?
//!
//! [`relearn`] is the seed project's rule, one number from one attack. A [`Campaign`] tries many attackers on each model and
//! measures, on questions that none of them trained on, how much is back after how much training; a [`Verdict`] puts that
//! between a model that never knew and one that never forgot.

mod attack;
mod attacker;
mod campaign;
mod judging;
mod materials;
mod running_loss;
mod untrained;
mod verdict;

pub use attack::{AttackCurve, AttackSpend, Evaluation};
pub use attacker::{AttackData, Attacker, Attackers, EvaluationGrid};
pub use campaign::{Attack, Campaign, ModelAttacks, Subject};
pub use judging::{AllAnchors, Bound, judge};
pub use materials::{Materials, QuestionKind, Split};
pub use running_loss::{RelearnCurve, WINDOW, relearn};
pub use untrained::{UntrainedAttack, UntrainedAttackKind};
pub use verdict::{
    Anchors, AttackerVerdict, Budget, CONSECUTIVE, ControlVerdict, CurveVerdict, DAMAGED_BELOW,
    THRESHOLDS, UntrainedVerdict, Verdict, Yardstick,
};
