//! Unlearning with a method's library, in a child process: a crash of the method ends the child, not the experiment.
//!
//! The parent ([`run`], [`find_method`]) sends one [`Job`] as JSON to the child's standard input and reads one event a line
//! from its standard output; [`serve`] is the child. The parent keeps the log, the child writes the weights.

mod job;
mod model_step;
mod parent;
mod role_data;
mod training;
mod worker;

pub use job::{Job, StepRecord, TrainingOptions, UnlearnJob};
pub use model_step::{ModelStep, Passes, Remembered};
pub use parent::{UnlearnSummary, WorkerCommand, find_method, run};
pub use worker::serve;
