//! Rotation tables of a pass: one for each way to rotate that some layer of the decoder has.

use crate::ops::RotaryTable;
use crate::packed::PackedBatch;
use crate::spec::{DecoderSpec, Rotary};

/// The different rotations of a decoder's layers.
#[derive(Debug)]
pub(super) struct Rotations {
    distinct: Vec<Rotary>,
    /// For each layer, which of them.
    by_layer: Vec<Option<usize>>,
}

impl Rotations {
    pub(super) fn new(spec: &DecoderSpec) -> Self {
        let mut distinct: Vec<Rotary> = Vec::new();
        let mut index_of = |rotary: &Rotary| {
            let known = distinct.iter().position(|other| other == rotary);
            known.unwrap_or_else(|| {
                distinct.push(rotary.clone());
                distinct.len() - 1
            })
        };
        let by_layer = spec
            .layers
            .iter()
            .map(|layer| layer.rotary.as_ref().map(&mut index_of));
        Self {
            by_layer: by_layer.collect(),
            distinct,
        }
    }

    pub(super) fn of_layer(&self, index: usize) -> Option<usize> {
        self.by_layer[index]
    }

    /// Tables in the order of [`Self::of_layer`]'s numbers.
    pub(super) fn tables(&self, batch: &PackedBatch) -> Vec<RotaryTable> {
        let lengths = batch.tree_lengths();
        self.distinct
            .iter()
            .map(|rotary| table(rotary, batch, &lengths))
            .collect()
    }
}

/// The length of a sequence decides which frequencies a stretched context gets; of sequences that share rows, the longest
/// decides, so a batch made with [`PackedBatch::separating`] lets only those share that agree.
fn table(rotary: &Rotary, batch: &PackedBatch, lengths: &[usize]) -> RotaryTable {
    let [short, long] = [false, true].map(|is_long| rotary.inverse_frequencies(is_long));
    let switch = rotary.long_above().unwrap_or(usize::MAX);
    let planes = lengths.iter().map(|&length| {
        if length > switch {
            &long[..]
        } else {
            &short[..]
        }
    });
    let rows: Vec<(u32, &[f32])> = batch.positions().iter().copied().zip(planes).collect();
    RotaryTable::new(&rows, rotary.dimensions / 2, rotary.magnitude())
}
