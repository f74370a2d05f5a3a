//! Training: batches of prompts with answers, the optimiser and its learning-rate schedule. Losses live with who trains.

mod adamw;
mod answers;
mod schedule;

pub use adamw::{AdamW, AdamWOptions};
pub use answers::{AnswerBatch, TokenizedPair};
pub use schedule::{Schedule, ScheduleKind};
