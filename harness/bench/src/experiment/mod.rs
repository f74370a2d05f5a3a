//! An experiment: one original, many methods, seeds and tasks, measured alike and put on one scorecard.

mod anchors;
mod answering;
mod attacking;
mod figure;
mod knowledge;
mod making;
mod measuring;
mod membership;
mod numbers;
mod parallel;
mod plan;
mod reading;
mod record;
mod run;
mod scorecard;
mod spec;
mod standing;
mod trail;
mod utility;

pub use anchors::{FinetuneSpec, PlannedFineTuning};
pub use figure::Figure;
pub use making::NOISE_METHOD;
pub use plan::{Making, PlannedSubject, PlannedUnlearning, plan};
pub use record::{
    AnsweredQuestion, Cost, DocumentScores, ExperimentRecord, MachineCost, Outcome, Reached,
    Recovery, Scores, Subject, SubjectKind, Training, UtilityScores,
};
pub use run::{Experiment, FoundMethod, Materials, RECORD};
pub use scorecard::{Comparison, Row, Scorecard, UTILITY_BOUND};
pub use spec::{ExperimentSpec, LEADERBOARD, Limits, MethodSpec, RelearnSpec, UnlearnSpec};
pub use standing::{HEADLINE, OVER_FORGOTTEN, RelearnTime, RelearnTimes, Standing};
pub use trail::{TrailPoint, TrailStep};
