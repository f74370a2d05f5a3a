//! Keys and values of rows that were computed before, for sequences that go on. No gradients reach them.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{Result, Tensor};

use crate::ops;

/// Keys and values of all layers, one row a token, in the order in which the rows were computed.
#[derive(Clone, Debug, Default)]
pub struct KeyValueCache {
    layers: Vec<LayerCache>,
    rows: usize,
}

/// Rotated keys and values, row-major [rows, `kv_heads` · `head_dim`].
#[derive(Clone, Debug, Default)]
struct LayerCache {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KeyValueCache {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Keeps only these rows, numbered anew in the order given.
    pub fn retain(&mut self, ranges: &[Range<usize>]) {
        if self.rows == 0 {
            return;
        }
        for layer in &mut self.layers {
            for values in [&mut layer.keys, &mut layer.values] {
                let width = values.len() / self.rows;
                let kept = ranges
                    .iter()
                    .flat_map(|range| &values[range.start * width..range.end * width]);
                *values = kept.copied().collect();
            }
        }
        self.rows = ranges.iter().map(Range::len).sum();
    }
}

/// The cache of one pass; layers take turns.
pub(super) struct PassCache(Mutex<KeyValueCache>);

impl PassCache {
    /// For a pass of `layers` layers that adds rows to `cache`.
    pub(super) fn new(mut cache: KeyValueCache, layers: usize) -> Self {
        cache.layers.resize_with(layers, LayerCache::default);
        Self(Mutex::new(cache))
    }

    /// Appends the new rows' keys and values in layer `layer` and calls `attend` with all of them.
    pub(super) fn extend<R>(
        &self,
        layer: usize,
        key: &Tensor,
        value: &Tensor,
        attend: impl FnOnce([&[f32]; 2]) -> Result<R>,
    ) -> Result<R> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let layer = &mut cache.layers[layer];
        ops::append(&mut layer.keys, key)?;
        ops::append(&mut layer.values, value)?;
        attend([&layer.keys, &layer.values])
    }

    /// The cache with the rows that the pass has added.
    pub(super) fn into_cache(self, new_rows: usize) -> KeyValueCache {
        let cache = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        KeyValueCache {
            rows: cache.rows + new_rows,
            ..cache
        }
    }
}
