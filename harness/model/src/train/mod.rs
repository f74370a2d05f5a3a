//! Training: batches of prompts with answers, gradients, optimisers and learning-rate schedules, and the state of it all. Losses live with who trains.

mod adamw;
mod answers;
mod gradients;
mod optimizer;
mod schedule;
mod sgd;
mod state;

pub use crate::ops::Gradient;
pub use adamw::{AdamW, AdamWOptions, DecayGroup};
pub use answers::{AnswerBatch, Positions, TokenizedPair};
pub use gradients::GradientSet;
pub use optimizer::{Kept, Optimizer};
pub use schedule::{Schedule, ScheduleKind};
pub use sgd::Sgd;
pub use state::{read_training_state, write_training_state};
