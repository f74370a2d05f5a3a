//! An experiment: one original, many methods, seeds and tasks, measured alike and put on one scorecard.

mod answering;
mod attacking;
mod composite;
mod figure;
mod fluency;
mod knowledge;
mod making;
mod measures;
mod measuring;
mod membership;
mod numbers;
mod plan;
mod reading;
mod record;
mod retention;
mod run;
mod scorecard;
mod spec;
mod standing;
mod truth;
mod usefulness;
mod utility;

pub use composite::Composite;
pub use figure::Figure;
pub use making::NOISE_METHOD;
pub use measures::Measures;
pub use membership::Privacy;
pub use plan::{Making, PlannedSubject, PlannedUnlearning, plan};
pub use record::{
    AnsweredQuestion, CompositePart, CompositeScores, Cost, DocumentScores, ExperimentRecord,
    MachineCost, Outcome, Reached, Recovery, Scores, Subject, SubjectKind, Training, UtilityScores,
};
pub use retention::Retention;
pub use run::{Experiment, FoundMethod, Materials, RECORD};
pub use scorecard::{Comparison, Row, Scorecard, UTILITY_BOUND};
pub use spec::{ExperimentSpec, Limits, MethodSpec, RelearnSpec, UnlearnSpec};
pub use standing::{HEADLINE, OVER_FORGOTTEN, RelearnTime, RelearnTimes, Standing};
pub use truth::{RowForgetQuality, truth_ratio_task};
