//! Experiments: train, unlearn, score, relearn, and the scorecard that comes of it.
//!
//! Stages report [`Event`]s to whoever watches and leave records on disk; nothing here prints. Methods run in a child
//! process ([`unlearn`]), everything else in this one.

pub mod demo;
pub mod experiment;
pub mod relearn;
pub mod unlearn;

mod answers;
mod divergence;
mod error;
mod evaluate;
mod event;
mod finetune;
mod forget_quality;
mod groups;
mod integrity;
mod membership;
mod order;
mod run_directory;
mod stage_lock;
mod suspicion;
mod training_memory;

pub use answers::{AnswerKnowledge, AnswerRecord, AnswerSet, Estimate, MIN_K_SHARE, TextPair};
pub use divergence::{Departure, departures_from_original, divergence_from_original};
pub use error::{BenchError, Result};
pub use evaluate::{Evaluation, EvaluationProgress, Questions, evaluate};
pub use event::{Event, Observer};
pub use finetune::{FineTuning, FineTuningSummary, finetune_into};
pub use forget_quality::{ForgetQuality, forget_quality, forget_quality_of_samples};
pub use groups::{GroupResult, score_groups};
pub use integrity::{Integrity, check_integrity};
pub use membership::{Attack, GradientNorm, MembershipScores, gradient_norms, membership_scores};
pub use run_directory::{RunDirectory, sha256_hex};
pub use suspicion::warnings;
pub use training_memory::TrainingMemory;
