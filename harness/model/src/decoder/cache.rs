//! Keys and values of rows that were computed before, for sequences that go on. No gradients reach them.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Result, Tensor};

use crate::ops::{self, AttentionRule};
use crate::packed::Block;

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
    /// Instead of both, where they are computed on another device than the CPU.
    on_device: Option<[Tensor; 2]>,
}

impl LayerCache {
    /// Attention of new rows over all rows, those included.
    fn attention(
        &mut self,
        [query, key, value]: [&Tensor; 3],
        blocks: &Arc<Vec<Block>>,
        rule: AttentionRule,
    ) -> Result<Tensor> {
        if ops::is_portable(query) {
            let [keys, values] = match self.on_device.take() {
                Some([keys, values]) => [
                    Tensor::cat(&[&keys, &key.detach()], 0)?,
                    Tensor::cat(&[&values, &value.detach()], 0)?,
                ],
                None => [key.detach(), value.detach()],
            };
            let all = self.on_device.insert([keys, values]);
            return ops::attention_of_tensors([query, &all[0], &all[1]], blocks, &rule);
        }
        ops::append(&mut self.keys, key)?;
        ops::append(&mut self.values, value)?;
        let all = [&self.keys[..], &self.values[..]];
        ops::attention_over(query, all, key.dim(1)?, blocks, rule)
    }

    /// Keeps only `ranges` of `rows` rows.
    fn retain(&mut self, rows: usize, ranges: &[Range<usize>]) -> Result<()> {
        for values in [&mut self.keys, &mut self.values] {
            let width = values.len() / rows;
            let kept = ranges
                .iter()
                .flat_map(|range| &values[range.start * width..range.end * width]);
            *values = kept.copied().collect();
        }
        let kept = ranges.iter().cloned().flatten().map(|row| row as u32);
        let kept: Vec<u32> = kept.collect();
        if kept.is_empty() {
            self.on_device = None;
        }
        for tensor in self.on_device.iter_mut().flatten() {
            *tensor = tensor.index_select(&Tensor::new(&kept[..], tensor.device())?, 0)?;
        }
        Ok(())
    }
}

impl KeyValueCache {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Keeps only these rows, numbered anew in the order given.
    ///
    /// # Errors
    /// When a device fails.
    pub fn retain(&mut self, ranges: &[Range<usize>]) -> crate::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        for layer in &mut self.layers {
            layer.retain(self.rows, ranges)?;
        }
        self.rows = ranges.iter().map(Range::len).sum();
        Ok(())
    }
}

/// The cache of one pass; layers take turns.
pub(super) struct PassCache {
    cache: Mutex<KeyValueCache>,
    /// Rows that outlive the pass, old and new; all where nothing is said.
    kept: Option<Vec<Range<usize>>>,
}

impl PassCache {
    /// For a pass of `layers` layers that adds rows to `cache` and leaves `kept`.
    pub(super) fn new(
        mut cache: KeyValueCache,
        layers: usize,
        kept: Option<&[Range<usize>]>,
    ) -> Self {
        cache.layers.resize_with(layers, LayerCache::default);
        Self {
            cache: Mutex::new(cache),
            kept: kept.map(<[_]>::to_vec),
        }
    }

    /// Adds the new rows' keys and values to layer `layer`; gives the attention of the new rows' queries over all rows.
    pub(super) fn attention(
        &self,
        layer: usize,
        new: [&Tensor; 3],
        blocks: &Arc<Vec<Block>>,
        rule: AttentionRule,
    ) -> Result<Tensor> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = cache.rows + new[0].dim(0)?;
        let layer = &mut cache.layers[layer];
        let mixed = layer.attention(new, blocks, rule)?;
        // At once, so that only one layer at a time holds what nobody will need.
        if let Some(kept) = &self.kept {
            layer.retain(rows, kept)?;
        }
        Ok(mixed)
    }

    /// The cache with the rows that the pass has added.
    pub(super) fn into_cache(self, new_rows: usize) -> KeyValueCache {
        let cache = self.cache.into_inner();
        let cache = cache.unwrap_or_else(PoisonError::into_inner);
        let all = cache.rows + new_rows;
        let rows = |kept: Vec<Range<usize>>| kept.iter().map(Range::len).sum();
        KeyValueCache {
            rows: self.kept.map_or(all, rows),
            ..cache
        }
    }
}
