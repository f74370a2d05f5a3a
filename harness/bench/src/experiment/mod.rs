//! An experiment: one original, many methods, seeds and tasks, measured alike and put on one scorecard.

mod figure;
mod record;
mod scorecard;
mod standing;

pub use figure::Figure;
pub use record::{
    AnsweredQuestion, Cost, DocumentScores, ExperimentRecord, Outcome, Reached, Recovery, Scores,
    Subject, SubjectKind, Training, UtilityScores,
};
pub use scorecard::{Comparison, Row, Scorecard, UTILITY_BOUND};
pub use standing::{HEADLINE, OVER_FORGOTTEN, RelearnTime, RelearnTimes, Standing};
