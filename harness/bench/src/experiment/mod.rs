//! An experiment: one original, many methods, seeds and tasks, measured alike and put on one scorecard.

mod anchors;
mod answering;
mod attack_standing;
mod attacking;
mod composite;
mod figure;
mod fluency;
mod foresight;
mod jobs;
mod knowledge;
mod making;
mod measures;
mod measuring;
mod membership;
mod numbers;
mod parallel;
mod plan;
mod ranking;
mod reading;
mod record;
mod recovery;
mod relearn_spec;
mod retention;
mod run;
mod scorecard;
mod spec;
mod standing;
mod trail;
mod truth;
mod usefulness;
mod utility;

pub use anchors::{FinetuneSpec, PlannedFineTuning};
pub use attack_standing::{AttackStanding, Bounded, ControlStanding};
pub use composite::Composite;
pub use figure::Figure;
pub use foresight::{Foreseen, Foresight};
pub use jobs::{Capacity, Jobs};
pub use making::NOISE_METHOD;
pub use measures::Measures;
pub use membership::Privacy;
pub use plan::{Making, PlannedSubject, PlannedUnlearning, plan};
pub use ranking::{Comparison, Demands, Ranking};
pub use record::{
    AnsweredQuestion, CompositePart, CompositeScores, Cost, DocumentScores, ExperimentRecord,
    MachineCost, Outcome, Scores, Subject, SubjectKind, Training, UtilityScores,
};
pub use recovery::{AttackerRecovery, Recovery, WayBack};
pub use relearn_spec::RelearnSpec;
pub use retention::Retention;
pub use run::{Experiment, FoundMethod, Materials, RECORD};
pub use scorecard::{Row, Scorecard};
pub use spec::{ExperimentSpec, LEADERBOARD, Limits, MethodSpec, UnlearnSpec};
pub use standing::{HEADLINE, OVER_FORGOTTEN, RelearnTime, RelearnTimes, Standing};
pub use trail::{TrailPoint, TrailStep};
pub use truth::{RowForgetQuality, gives_truth_ratios, truth_ratio_task};
