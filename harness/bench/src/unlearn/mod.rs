//! Unlearning with a method's library, in a child process: a crash of the method ends the child, not the experiment.
//!
//! The parent ([`run`], [`find_method`]) sends one [`Job`] as a line of JSON to the child's standard input and reads one event a
//! line from its standard output; [`serve`] is the child. The parent keeps the log, the child writes the weights. Each notices
//! when the other is gone: the parent by the child's output and its state, the child by the end of its input. The child saves the
//! run's state from time to time; the same request takes an interrupted run up from there.

mod answer_memory;
mod child;
mod identity;
mod job;
mod model_step;
mod optimizers;
mod options;
mod own_loop;
mod own_run;
mod parent;
mod plan;
mod process;
mod record;
mod refusals;
mod role_data;
mod run_state;
mod saving;
mod step_log;
mod stop_rule;
mod trainee;
mod training;
mod worker;

pub use child::{ChildLimits, WorkerCommand};
pub use job::{Job, StepRecord, UnlearnJob};
pub use model_step::{ModelStep, Passes, Remembered, SpawnedModels};
pub use options::{OptimizerOptions, SequentialParts, TrainedParameters, TrainingOptions};
pub use own_loop::{BatchSource, LoopParts, OwnLoop, RememberedAnswers, Report};
pub use parent::{find_method, is_interrupted, run};
pub use plan::{RolePlan, UnlearnPlan};
pub use record::UnlearnSummary;
pub use refusals::REFUSALS;
pub use saving::{CHECKPOINTS, checkpoint_path};
pub use step_log::read_steps;
pub use stop_rule::StopRule;
pub use worker::serve;

pub(crate) use process::spare_memory_bytes;
