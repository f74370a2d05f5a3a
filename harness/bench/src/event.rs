//! What an experiment tells while it runs: the terminal and the record on disk are two listeners of many possible ones.

use crate::unlearn::StepRecord;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A stage began.
    StageStarted {
        /// What it is, for people.
        name: String,
        /// How many units it will take, where known.
        total: Option<usize>,
        /// What a unit is: "steps", "requests".
        unit: &'static str,
    },
    /// A stage came further.
    StageAdvanced {
        /// Units done.
        done: usize,
        /// Share of the work that is done, between 0 and 1, where units do not tell.
        work_done: Option<f64>,
        /// A short remark on the state, such as the loss.
        remark: String,
    },
    /// A step of unlearning was taken.
    Step(StepRecord),
    /// A stage ended.
    StageFinished {
        /// A short remark on the outcome.
        remark: String,
    },
    /// The whole came further.
    WholeAdvanced {
        /// Models done.
        done: usize,
        /// All models.
        total: usize,
        /// What was done with them: "made and measured", "attacked".
        deed: &'static str,
    },
    /// Something happened in one of several stages that run at the same time.
    InLane {
        /// Which: counted from 0.
        lane: usize,
        /// What happened there.
        event: Box<Event>,
    },
    /// Something worth a line in a log.
    Message(String),
}

/// Receives events.
pub type Observer<'a> = dyn FnMut(Event) + 'a;
