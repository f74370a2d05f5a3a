//! Training: batches of prompts with answers, gradients, optimisers and learning-rate schedules. Losses live with who trains.

mod adamw;
mod answers;
mod gradients;
mod optimizer;
mod schedule;
mod sgd;

pub use crate::ops::Gradient;
pub use adamw::{AdamW, AdamWOptions, DecayGroup};
pub use answers::{AnswerBatch, Positions, TokenizedPair};
pub use gradients::GradientSet;
pub use optimizer::Optimizer;
pub use schedule::{Schedule, ScheduleKind};
pub use sgd::Sgd;
