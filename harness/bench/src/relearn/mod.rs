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
mod subject;
mod trials;
mod untrained;
mod verdict;

pub use attack::{AttackCurve, AttackSpend, Evaluation};
pub use attacker::{AttackData, Attacker, Attackers, EvaluationGrid};
pub use campaign::{Attack, AttackedModel, Campaign, ModelAttacks};
pub use judging::{AllAnchors, Bound, judge};
pub use materials::{HELD_OUT_SHARE, Materials, QuestionKind, Split};
pub use running_loss::{RelearnCurve, WINDOW, relearn};
pub use subject::Subject;
pub use untrained::{UntrainedAttack, UntrainedAttackKind, UntrainedAttackName};
pub use verdict::{
    Anchors, AttackerVerdict, Budget, CONSECUTIVE, ControlVerdict, CurveVerdict, DAMAGED_BELOW,
    RecoveryPoint, THRESHOLDS, UntrainedVerdict, Verdict, Yardstick,
};
