//! Causal grouped-query attention over packed batches, fused and differentiable.
//!
//! softmax(q·kᵀ/√d)·v per head (Vaswani et al. 2017, eq. 1; grouped queries: Ainslie et al. 2023), where a row sees the
//! ancestors of its block and its own block up to itself. Probabilities are recomputed in the backward pass, never kept.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::matrix::{Matrix, contiguous};
use super::vector::{dot, exp, max, sum_of, wide};
use crate::packed::Block;

#[derive(Clone)]
struct Attention {
    blocks: Arc<Vec<Block>>,
    kv_heads: usize,
    /// Query heads per key-value head.
    group: usize,
    head_dim: usize,
    rows: usize,
}

/// One argument `[rows, heads · head_dim]` of the operation.
#[derive(Clone, Copy)]
struct Heads<'a> {
    storage: &'a CpuStorage,
    values: &'a [f32],
    offset: usize,
    width: usize,
}

impl<'a> Heads<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (_, width) = layout.shape().dims2()?;
        let values = contiguous("attention", storage, layout)?;
        Ok(Self {
            storage,
            values,
            offset: layout.start_offset(),
            width,
        })
    }

    /// Rows `rows`, columns `columns` as a matrix, without copying.
    fn part(&self, rows: &Range<usize>, columns: &Range<usize>) -> Matrix<'a> {
        let offset = self.offset + rows.start * self.width + columns.start;
        Matrix::rows(self.storage, offset, rows.len(), columns.len(), self.width)
    }

    /// Columns `columns` of `rows` as contiguous rows of `head_dim`: `[rows · heads in columns, head_dim]`.
    fn gather(&self, rows: &Range<usize>, columns: &Range<usize>) -> CpuStorage {
        let row =
            |r: usize| &self.values[r * self.width + columns.start..r * self.width + columns.end];
        CpuStorage::F32(rows.clone().flat_map(row).copied().collect())
    }
}

impl Attention {
    fn scale(&self) -> f32 {
        (self.head_dim as f32).sqrt().recip()
    }

    fn query_columns(&self, kv_head: usize) -> Range<usize> {
        let width = self.group * self.head_dim;
        kv_head * width..(kv_head + 1) * width
    }

    fn key_columns(&self, kv_head: usize) -> Range<usize> {
        kv_head * self.head_dim..(kv_head + 1) * self.head_dim
    }

    /// Attention probabilities of a block's query rows ([rows · group, keys of the range]) for each visible key range.
    fn probabilities(
        &self,
        block: &Block,
        query: &CpuStorage,
        key: Heads,
        kv_head: usize,
    ) -> Result<Vec<Vec<f32>>> {
        let query_rows = block.rows.len() * self.group;
        let query = Matrix::whole(query, query_rows, self.head_dim);
        let columns = self.key_columns(kv_head);
        let mut scores = visible_ranges(block)
            .map(|range| query.times(key.part(range, &columns).transposed()))
            .collect::<Result<Vec<_>>>()?;
        let widths: Vec<usize> = visible_ranges(block).map(Range::len).collect();
        wide(|| {
            for row in 0..query_rows {
                let own = row / self.group + 1;
                self.softmax_row(&mut scores, &widths, row, own);
            }
        });
        Ok(scores)
    }

    /// Softmax of one row that is spread over several score matrices; in the last one only `own` keys are visible.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "must be inlined into the target-feature version of its caller"
    )]
    fn softmax_row(&self, scores: &mut [Vec<f32>], widths: &[usize], row: usize, own: usize) {
        let last = widths.len() - 1;
        let visible = |part: usize| {
            row * widths[part]..row * widths[part] + if part == last { own } else { widths[part] }
        };
        let largest = (0..=last)
            .map(|part| max(&scores[part][visible(part)]))
            .fold(f32::NEG_INFINITY, f32::max);
        let scale = self.scale();
        let mut total = 0.0;
        for (part, scores) in scores.iter_mut().enumerate() {
            let row = &mut scores[visible(part)];
            for score in row.iter_mut() {
                *score = exp((*score - largest) * scale);
            }
            total += sum_of(row, |p| p);
        }
        let inverse = 1.0 / total;
        for (part, scores) in scores.iter_mut().enumerate() {
            scores[visible(part)].iter_mut().for_each(|p| *p *= inverse);
        }
        scores[last][row * widths[last] + own..(row + 1) * widths[last]].fill(0.0);
    }

    /// The output columns of one key-value head's queries: `[rows, group · head_dim]`.
    fn forward_head(&self, q: Heads, k: Heads, v: Heads, kv_head: usize) -> Result<Vec<f32>> {
        let width = self.group * self.head_dim;
        let mut out = vec![0f32; self.rows * width];
        for block in self.blocks.iter() {
            let query = q.gather(&block.rows, &self.query_columns(kv_head));
            let probabilities = self.probabilities(block, &query, k, kv_head)?;
            let out = &mut out[block.rows.start * width..block.rows.end * width];
            for (range, part) in visible_ranges(block).zip(probabilities) {
                let part = CpuStorage::F32(part);
                let part = Matrix::whole(&part, block.rows.len() * self.group, range.len());
                add(out, &part.times(v.part(range, &self.key_columns(kv_head)))?);
            }
        }
        Ok(out)
    }

    /// Gradients of one key-value head: of its queries `[rows, group · head_dim]`, its keys and its values `[rows, head_dim]`.
    fn backward_head(
        &self,
        q: Heads,
        k: Heads,
        v: Heads,
        dy: Heads,
        kv_head: usize,
    ) -> Result<[Vec<f32>; 3]> {
        let (query_width, key_width) = (self.group * self.head_dim, self.head_dim);
        let mut dq = vec![0f32; self.rows * query_width];
        let mut dk = vec![0f32; self.rows * key_width];
        let mut dv = vec![0f32; self.rows * key_width];
        let columns = self.key_columns(kv_head);
        for block in self.blocks.iter() {
            let query_rows = block.rows.len() * self.group;
            let query = q.gather(&block.rows, &self.query_columns(kv_head));
            let dout = dy.gather(&block.rows, &self.query_columns(kv_head));
            let query_matrix = Matrix::whole(&query, query_rows, self.head_dim);
            let dout_matrix = Matrix::whole(&dout, query_rows, self.head_dim);
            let probabilities = self.probabilities(block, &query, k, kv_head)?;
            let mut dscores = visible_ranges(block)
                .map(|range| dout_matrix.times(v.part(range, &columns).transposed()))
                .collect::<Result<Vec<_>>>()?;
            let widths: Vec<usize> = visible_ranges(block).map(Range::len).collect();
            wide(|| self.softmax_backward(&probabilities, &mut dscores, &widths, query_rows));
            let dq = &mut dq[block.rows.start * query_width..block.rows.end * query_width];
            for ((range, p), ds) in visible_ranges(block).zip(probabilities).zip(dscores) {
                let (p, ds) = (CpuStorage::F32(p), CpuStorage::F32(ds));
                let p = Matrix::whole(&p, query_rows, range.len());
                let ds = Matrix::whole(&ds, query_rows, range.len());
                add(dq, &ds.times(k.part(range, &columns))?);
                let keys = range.start * key_width..range.end * key_width;
                add(&mut dk[keys.clone()], &ds.transposed().times(query_matrix)?);
                add(&mut dv[keys], &p.transposed().times(dout_matrix)?);
            }
        }
        Ok([dq, dk, dv])
    }

    /// Turns dP into the gradient of the unscaled scores, p·(dp − Σ p·dp)/√d; masked positions have p = 0.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "must be inlined into the target-feature version of its caller"
    )]
    fn softmax_backward(&self, p: &[Vec<f32>], dp: &mut [Vec<f32>], widths: &[usize], rows: usize) {
        let scale = self.scale();
        for row in 0..rows {
            let span = |part: usize| row * widths[part]..(row + 1) * widths[part];
            let mean: f32 = (0..p.len())
                .map(|part| dot(&p[part][span(part)], &dp[part][span(part)]))
                .sum();
            for (part, dp) in dp.iter_mut().enumerate() {
                for (dp, &p) in dp[span(part)].iter_mut().zip(&p[part][span(part)]) {
                    *dp = p * (*dp - mean) * scale;
                }
            }
        }
    }

    /// Puts one part per key-value head, each [rows, width], side by side.
    fn side_by_side(&self, parts: &[Vec<f32>], width: usize) -> Vec<f32> {
        let row = |r: usize| {
            parts
                .iter()
                .flat_map(move |part| &part[r * width..(r + 1) * width])
        };
        (0..self.rows).flat_map(row).copied().collect()
    }

    fn backward(&self, q: &Tensor, k: &Tensor, v: &Tensor, dy: &Tensor) -> Result<[Tensor; 3]> {
        let guards = [q, k, v, dy].map(|tensor| tensor.storage_and_layout());
        let [q_heads, k_heads, v_heads, dy_heads] =
            [&guards[0], &guards[1], &guards[2], &guards[3]].map(|(storage, layout)| {
                match &**storage {
                    candle_core::Storage::Cpu(storage) => Heads::new(storage, layout),
                    _ => bail!("attention: CPU tensors only"),
                }
            });
        let (q_heads, k_heads, v_heads, dy_heads) = (q_heads?, k_heads?, v_heads?, dy_heads?);
        let head = |h| self.backward_head(q_heads, k_heads, v_heads, dy_heads, h);
        let heads = (0..self.kv_heads)
            .into_par_iter()
            .map(head)
            .collect::<Result<Vec<_>>>()?;
        let mut parts: [Vec<Vec<f32>>; 3] = Default::default();
        for head in heads {
            parts
                .iter_mut()
                .zip(head)
                .for_each(|(part, gradient)| part.push(gradient));
        }
        let gradient = |parts: &[Vec<f32>], like: &Tensor, width| {
            Tensor::from_vec(self.side_by_side(parts, width), like.shape(), like.device())
        };
        let width = self.head_dim;
        Ok([
            gradient(&parts[0], q, self.group * width)?,
            gradient(&parts[1], k, width)?,
            gradient(&parts[2], v, width)?,
        ])
    }
}

/// The ancestors and then the block's own rows: the key ranges its queries see.
fn visible_ranges(block: &Block) -> impl Iterator<Item = &Range<usize>> {
    block.ancestors.iter().chain(std::iter::once(&block.rows))
}

fn add(sum: &mut [f32], part: &[f32]) {
    wide(|| {
        sum.iter_mut()
            .zip(part)
            .for_each(|(sum, part)| *sum += part);
    });
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (q, k, v) = (Heads::new(q, lq)?, Heads::new(k, lk)?, Heads::new(v, lv)?);
        let heads = (0..self.kv_heads)
            .into_par_iter()
            .map(|head| self.forward_head(q, k, v, head))
            .collect::<Result<Vec<_>>>()?;
        let out = self.side_by_side(&heads, self.group * self.head_dim);
        Ok((CpuStorage::F32(out), lq.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dq, dk, dv] = self.backward(q, k, v, &dy.contiguous()?)?;
        Ok((Some(dq), Some(dk), Some(dv)))
    }
}

/// Attention of q `[rows, heads · head_dim]` over k and v `[rows, kv_heads · head_dim]`, f32, with the visibility of `blocks`
/// (which cover the rows in order) → `[rows, heads · head_dim]`.
///
/// # Errors
/// When widths are no multiples of `head_dim`, heads are no multiple of key-value heads, or a tensor is not contiguous f32 on the CPU.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    blocks: &Arc<Vec<Block>>,
    head_dim: usize,
) -> Result<Tensor> {
    let ((rows, q_width), (k_rows, kv_width)) = (q.dims2()?, k.dims2()?);
    let fits = q_width.is_multiple_of(head_dim)
        && kv_width.is_multiple_of(head_dim)
        && q_width.is_multiple_of(kv_width);
    let covered = blocks.last().map_or(0, |block| block.rows.end);
    if !fits
        || k_rows != rows
        || v.shape() != k.shape()
        || covered != rows
        || q.dtype() != DType::F32
    {
        bail!(
            "attention: q {:?}, k {:?}, v {:?}, {covered} rows in blocks, head_dim {head_dim} do not fit",
            q.shape(),
            k.shape(),
            v.shape()
        );
    }
    let kv_heads = kv_width / head_dim;
    let group = q_width / kv_width;
    q.apply_op3(
        k,
        v,
        Attention {
            blocks: Arc::clone(blocks),
            kv_heads,
            group,
            head_dim,
            rows,
        },
    )
}
