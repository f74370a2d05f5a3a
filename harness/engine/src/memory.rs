//! How much of a model's work fits into a given amount of memory: rows of one pass, and keys and values that are kept.

use std::fmt;

use harness_model::DecoderSpec;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Where the system does not tell what is free, and for those who do not ask.
const USUAL_BYTES: usize = 2 << 30;

/// Bytes that may be used besides the weights: one half for keys and values that are kept, the other for the pass that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    bytes: usize,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self { bytes: USUAL_BYTES }
    }
}

impl fmt::Display for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.bytes >> 20)
    }
}

impl MemoryBudget {
    /// So many bytes.
    pub fn from_bytes(bytes: usize) -> Self {
        Self { bytes }
    }

    /// Half of what the machine, or the control group that the process is in, has free now; at most 8 GiB, which is more than
    /// speed takes.
    pub fn of_free_memory() -> Self {
        let half = free_memory_bytes().and_then(|free| usize::try_from(free / 2).ok());
        match half {
            Some(half) if half > 0 => Self::from_bytes(half.min(8 << 30)),
            _ => Self::default(),
        }
    }

    /// Rows of one pass whose activations fit.
    pub(crate) fn rows_per_pass(self, spec: &DecoderSpec) -> usize {
        self.bytes / 2 / activation_bytes(spec)
    }

    /// Rows whose keys and values in all layers fit.
    pub(crate) fn kept_rows(self, spec: &DecoderSpec) -> usize {
        self.bytes / 2 / key_value_bytes(spec)
    }
}

/// Bytes that are free now, on the machine or in the control group that the process is in; `None` where the system does not tell.
pub fn free_memory_bytes() -> Option<u64> {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory).ok()?;
    let group = system.cgroup_limits().map(|limits| limits.free_memory);
    Some(system.available_memory().min(group.unwrap_or(u64::MAX)))
}

/// What a row's keys and values take in all layers.
fn key_value_bytes(spec: &DecoderSpec) -> usize {
    let layer = 2 * spec.attention.kv_heads * spec.attention.head_dim;
    (spec.layers.len() * layer * size_of::<f32>()).max(1)
}

/// What a row takes while it goes through a layer: the residual stream with its norm and both branches, queries, keys and values
/// before and after rotation, both inputs of the activation and its result.
fn activation_bytes(spec: &DecoderSpec) -> usize {
    let attention = &spec.attention;
    let projected = (attention.heads + 2 * attention.kv_heads) * attention.head_dim;
    let floats = 6 * spec.width + 3 * projected + 4 * spec.feed_forward.width;
    floats * size_of::<f32>()
}
