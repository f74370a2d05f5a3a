//! Decoder-only language models on candle: one trainable decoder, described per family, that serves scoring and training.
//!
//! This crate reads and writes model directories, runs packed batches, and updates weights. It knows nothing of tasks,
//! prompts or methods, and prints nothing.

pub mod ops;
pub mod train;

mod decoder;
mod directory;
mod error;
mod families;
mod packed;
mod projection;
mod spec;
mod tokenizer;
mod weights;

pub use decoder::Decoder;
pub use directory::{Model, publish_directory, refuse_occupied, staging_path, write_model_files};
pub use error::{ModelError, Result};
pub use families::read_spec;
pub use ops::TokenScore;
pub use packed::{Block, PackedBatch};
pub use spec::{Attention, DecoderSpec, FeedForward, Rotary, RotaryScaling};
pub use tokenizer::Tokenizer;
pub use weights::{Weights, weight_files};
