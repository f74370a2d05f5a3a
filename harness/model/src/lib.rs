//! Decoder-only language models on candle: one trainable decoder, described per family, that serves scoring and training.
//!
//! This crate reads and writes model directories, runs packed batches, and updates weights. It knows nothing of tasks,
//! prompts or methods, and prints nothing.

pub mod ops;
pub mod train;

mod compression;
mod decoder;
mod device;
mod directory;
mod error;
mod families;
mod flops;
mod gguf;
mod lora;
mod packed;
mod projection;
mod rounding;
mod safetensors_file;
mod spec;
mod staging;
mod stored;
mod tokenizer;
mod weights;

pub use compression::FrozenPrecision;
pub use decoder::{Decoder, KeyValueCache};
pub use device::DeviceName;
pub use directory::{Model, ModelDescription, write_model_files};
pub use error::{ModelError, Result};
pub use families::read_spec;
pub use flops::PassFlops;
pub use lora::{Lora, LoraConfig};
pub use ops::{Comparison, TokenScore};
pub use packed::{Block, PackedBatch};
pub use spec::{
    Activation, Attention, DecoderSpec, Embedding, FeedForward, Gating, Head, Layer,
    LearnedPositions, Norm, NormKind, QueryKeyNorm, QueryKeyValue, Rotary, RotaryScaling,
    WeightLayout, WeightNames, Wiring,
};
pub use staging::{Staging, check_output};
pub use stored::StoredWeights;
pub use tokenizer::{AddedTokens, Tokenizer};
pub use weights::{Weights, weight_files};
