//! What training a model holds in memory at its peak, foreseen from config and settings. It refuses to touch weights.

use std::collections::BTreeMap;

use candle_core::Device;
use harness_model::{DecoderSpec, Lora, LoraConfig};
use serde::Serialize;

use crate::error::Result;

/// Weights, gradients and moments are f32.
const F32_BYTES: usize = size_of::<f32>();
/// A process with a tokenizer and nothing else.
const PROCESS_BYTES: usize = 60 << 20;

/// Bytes of memory at the peak, by what takes them.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names carry their unit")]
pub struct TrainingMemory {
    /// The model in training.
    pub weights_bytes: usize,
    /// A frozen copy of what is trained.
    pub original_bytes: usize,
    /// Gradients.
    pub gradients_bytes: usize,
    /// The optimiser's moments.
    pub moments_bytes: usize,
    /// What the largest step keeps for its gradients, or what writing the model takes, whichever is more.
    pub activations_bytes: usize,
}

/// What decides how much that is.
pub(crate) struct TrainingDemand<'a> {
    pub(crate) spec: &'a DecoderSpec,
    /// The model as it is held, if not in full width.
    pub(crate) quantized_bytes: Option<usize>,
    /// Weights that steps change: the model's or an adapter's.
    pub(crate) trained_parameters: usize,
    /// Whether what is trained is a copy, beside which the original stays.
    pub(crate) keeps_original: bool,
    /// Values that the optimiser keeps for each trained weight.
    pub(crate) moments: usize,
    /// Whether layers are run again for the gradients.
    pub(crate) activation_checkpoints: bool,
    /// Tokens of the largest batch.
    pub(crate) batch_tokens: usize,
}

impl TrainingMemory {
    pub(crate) fn of(demand: &TrainingDemand) -> Self {
        let spec = demand.spec;
        let whole = spec.parameters() * F32_BYTES;
        let trained = demand.trained_parameters * F32_BYTES;
        let layer = spec.layer_training_floats() * F32_BYTES;
        let kept = if demand.activation_checkpoints {
            spec.layers.len() * spec.width * F32_BYTES + layer
        } else {
            spec.layers.len() * layer
        };
        Self {
            weights_bytes: demand.quantized_bytes.unwrap_or(whole),
            original_bytes: if demand.keeps_original { trained } else { 0 },
            gradients_bytes: trained,
            moments_bytes: demand.moments * trained,
            activations_bytes: (kept * demand.batch_tokens).max(whole),
        }
    }

    /// All of it, with the process's own.
    pub fn total_bytes(&self) -> usize {
        PROCESS_BYTES
            + self.weights_bytes
            + self.original_bytes
            + self.gradients_bytes
            + self.moments_bytes
            + self.activations_bytes
    }
}

/// The number of elements of each tensor of an adapter.
pub(crate) fn adapter_elements(
    spec: &DecoderSpec,
    config: LoraConfig,
) -> Result<BTreeMap<String, usize>> {
    let adapter = Lora::new(spec, config, 0, &Device::Cpu)?;
    let (_, variables) = adapter.trainable(0)?;
    let own = variables.iter();
    Ok(own
        .map(|(name, own)| (name.clone(), own.elem_count()))
        .collect())
}
