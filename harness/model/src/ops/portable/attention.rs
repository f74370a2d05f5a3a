//! Attention over packed blocks as batched matrix products. Blocks of about one size are padded to one shape, with the padding
//! masked, so that a device gets few large products; nothing of a padded place reaches a result or a gradient.

use std::ops::Range;

use candle_core::{D, Device, Result, Tensor};

use crate::ops::attention::{AttentionRule, Visible};
use crate::packed::Block;

/// Scores held at a time by one group of blocks: 32 Mi values, 128 MiB.
const SCORES_PER_GROUP: usize = 32 << 20;

/// Blocks padded to as many queries and keys each.
struct Group<'a> {
    blocks: &'a [(Range<usize>, Visible)],
    queries: usize,
    keys: usize,
}

/// Attention of q `[rows, heads · head_dim]` over k and v `[rows, kv_heads · head_dim]`, whose shapes are checked by the caller.
/// Keys and values may have rows before those of the queries; `blocks` count from the first of them.
pub(crate) fn attention(
    [q, k, v]: [&Tensor; 3],
    blocks: &[Block],
    rule: &AttentionRule,
) -> Result<Tensor> {
    let heads = q.dim(1)? / rule.head_dim;
    let before = k.dim(0)? - q.dim(0)?;
    let visible = |block: &Block| (block.rows.clone(), Visible::new(block, rule.window));
    let mut blocks: Vec<_> = blocks.iter().map(visible).collect();
    blocks.sort_by_key(|(rows, visible)| (rows.len(), visible.keys));
    // Where each row's output lies among those of all groups.
    let mut places = vec![0u32; q.dim(0)?];
    let (mut outputs, mut padded_rows) = (Vec::new(), 0);
    for group in groups(&blocks, heads) {
        for (rows, _) in group.blocks {
            for (query, row) in rows.clone().enumerate() {
                places[row - before] = (padded_rows + query) as u32;
            }
            padded_rows += group.queries;
        }
        outputs.push(group.attention([q, k, v], rule)?);
    }
    Tensor::cat(&outputs, 0)?.index_select(&Tensor::new(places, q.device())?, 0)
}

/// Runs of blocks, sorted by size, that waste little when padded to one shape.
fn groups(blocks: &[(Range<usize>, Visible)], heads: usize) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut start = 0;
    for (index, (rows, visible)) in blocks.iter().enumerate() {
        let own = &blocks[start..=index];
        let shortest = own.iter().map(|(_, visible)| visible.keys).min();
        if let (Some(last), Some(shortest)) = (groups.last_mut(), shortest) {
            let queries = last.queries.max(rows.len());
            let keys = last.keys.max(visible.keys);
            let is_alike = queries <= 2 * own[0].0.len() && keys <= 2 * shortest;
            if is_alike && own.len() * heads * queries * keys <= SCORES_PER_GROUP {
                (last.blocks, last.queries, last.keys) = (own, queries, keys);
                continue;
            }
        }
        start = index;
        groups.push(Group {
            blocks: &blocks[index..=index],
            queries: rows.len(),
            keys: visible.keys,
        });
    }
    groups
}

impl Group<'_> {
    /// Outputs `[blocks · queries, heads · head_dim]`; those of padded queries mean nothing.
    fn attention(&self, [q, k, v]: [&Tensor; 3], rule: &AttentionRule) -> Result<Tensor> {
        let (blocks, queries, keys) = (self.blocks.len(), self.queries, self.keys);
        let (width, head_dim) = (q.dim(1)?, rule.head_dim);
        let kv_heads = k.dim(1)? / head_dim;
        let group = width / head_dim / kv_heads;
        // [blocks, key-value heads, query heads of each, queries, head_dim], the first two as one.
        let batch = blocks * kv_heads;
        let query = q
            .index_select(&self.query_rows(k.dim(0)? - q.dim(0)?, q.device())?, 0)?
            .reshape((blocks, queries, kv_heads, group, head_dim))?
            .permute((0, 2, 3, 1, 4))?
            .contiguous()?
            .reshape((batch, group * queries, head_dim))?;
        let key_rows = self.key_rows(k.device())?;
        let by_head = |of: &Tensor| {
            of.index_select(&key_rows, 0)?
                .reshape((blocks, keys, kv_heads, head_dim))?
                .permute((0, 2, 1, 3))?
                .contiguous()?
                .reshape((batch, keys, head_dim))
        };
        let (key, value) = (by_head(k)?, by_head(v)?);
        let mut scores = query
            .matmul(&key.t()?)?
            .affine(f64::from(rule.scale), 0.0)?;
        if let Some(cap) = rule.soft_cap.map(f64::from) {
            scores = scores.affine(cap.recip(), 0.0)?.tanh()?.affine(cap, 0.0)?;
        }
        let probabilities = scores
            .reshape((blocks, kv_heads * group, queries, keys))?
            .broadcast_add(&self.mask(q.device())?)
            .and_then(|scores| softmax(&scores))?
            .reshape((batch, group * queries, keys))?;
        probabilities
            .matmul(&value)?
            .reshape((blocks, kv_heads, group, queries, head_dim))?
            .permute((0, 3, 1, 2, 4))?
            .contiguous()?
            .reshape((blocks * queries, width))
    }

    /// `[blocks · queries]`, counted after `before` rows that have keys only; a block with fewer queries repeats its last.
    fn query_rows(&self, before: usize, device: &Device) -> Result<Tensor> {
        let rows = |(rows, _): &(Range<usize>, Visible)| {
            let last = rows.end - 1;
            let padded = rows.start..rows.start + self.queries;
            padded.map(move |row| (row.min(last) - before) as u32)
        };
        let rows: Vec<u32> = self.blocks.iter().flat_map(rows).collect();
        Tensor::new(rows, device)
    }

    /// `[blocks · keys]`; a block with fewer keys is filled up with a row of its own, which no query sees there.
    fn key_rows(&self, device: &Device) -> Result<Tensor> {
        let rows = |(rows, visible): &(Range<usize>, Visible)| {
            let own: Vec<usize> = visible.ranges.iter().cloned().flatten().collect();
            let padding = std::iter::repeat_n(rows.start, self.keys - own.len());
            own.into_iter().chain(padding).map(|row| row as u32)
        };
        let rows: Vec<u32> = self.blocks.iter().flat_map(rows).collect();
        Tensor::new(rows, device)
    }

    /// [blocks, 1, queries, keys], 0 where a query sees a key and −∞ elsewhere. Every query sees at least itself.
    fn mask(&self, device: &Device) -> Result<Tensor> {
        let seen = |(rows, visible): &(Range<usize>, Visible)| -> Vec<Range<usize>> {
            let last = rows.len() - 1;
            let queries = 0..self.queries;
            queries
                .map(|query| visible.keys_of(query.min(last)))
                .collect()
        };
        let seen: Vec<Range<usize>> = self.blocks.iter().flat_map(seen).collect();
        let shape = (self.blocks.len(), 1, self.queries, 1);
        let bounds = |of: fn(&Range<usize>) -> usize| {
            let bounds: Vec<u32> = seen.iter().map(|seen| of(seen) as u32).collect();
            Tensor::from_vec(bounds, shape, device)
        };
        let key = Tensor::arange(0u32, self.keys as u32, device)?;
        let is_seen = bounds(|seen| seen.start)?
            .broadcast_le(&key)?
            .mul(&bounds(|seen| seen.end)?.broadcast_gt(&key)?)?;
        let shape = is_seen.shape().clone();
        let constant = |value: f32| Tensor::new(value, device)?.broadcast_as(&shape);
        is_seen.where_cond(&constant(0.0)?, &constant(f32::NEG_INFINITY)?)
    }
}

/// Over the last dimension, every row of which has a finite element.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    // A shift changes neither the result nor its gradient.
    let largest = scores.detach().max_keepdim(D::Minus1)?;
    let exponentials = scores.broadcast_sub(&largest)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}
