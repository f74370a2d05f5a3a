//! Causal grouped-query attention over packed batches, fused and differentiable.
//!
//! softmax(scale·q·kᵀ)·v per head (Vaswani et al. 2017, eq. 1; grouped queries: Ainslie et al. 2023), where a row sees the
//! ancestors of its block and its own block up to itself, as far back as the window reaches. Probabilities are recomputed in
//! the backward pass, never kept.

mod softmax;
mod visible;

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::matrix::{Matrix, contiguous};
use super::vector::wide;
use crate::packed::Block;
use softmax::Softmax;
use visible::Visible;

/// What attention computes besides its products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionRule {
    /// Width of one head.
    pub head_dim: usize,
    /// What scores are multiplied with.
    pub scale: f32,
    /// c in c · tanh(score / c), applied to scaled scores.
    pub soft_cap: Option<f32>,
    /// Tokens that a query sees, itself included; all before it where there is none. At least 1.
    pub window: Option<usize>,
}

#[derive(Clone)]
struct Attention {
    rule: AttentionRule,
    blocks: Arc<Vec<Block>>,
    kv_heads: usize,
    /// Query heads per key-value head.
    group: usize,
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
    fn query_columns(&self, kv_head: usize) -> Range<usize> {
        let width = self.group * self.rule.head_dim;
        kv_head * width..(kv_head + 1) * width
    }

    fn key_columns(&self, kv_head: usize) -> Range<usize> {
        kv_head * self.rule.head_dim..(kv_head + 1) * self.rule.head_dim
    }

    /// Attention probabilities of a block's query rows ([rows · group, keys of the range]) for each visible key range.
    fn softmax(
        &self,
        visible: &Visible,
        query: Matrix,
        key: Heads,
        kv_head: usize,
    ) -> Result<Softmax> {
        let columns = self.key_columns(kv_head);
        let ranges = visible.ranges.iter();
        let scores = ranges
            .map(|range| query.times(key.part(range, &columns).transposed()))
            .collect::<Result<Vec<_>>>()?;
        Ok(Softmax::new(scores, visible, self.group, &self.rule))
    }

    /// The output columns of one key-value head's queries: `[rows, group · head_dim]`.
    fn forward_head(&self, q: Heads, k: Heads, v: Heads, kv_head: usize) -> Result<Vec<f32>> {
        let width = self.group * self.rule.head_dim;
        let mut out = vec![0f32; self.rows * width];
        for block in self.blocks.iter() {
            let query_rows = block.rows.len() * self.group;
            let query = q.gather(&block.rows, &self.query_columns(kv_head));
            let query = Matrix::whole(&query, query_rows, self.rule.head_dim);
            let visible = Visible::new(block, self.rule.window);
            let softmax = self.softmax(&visible, query, k, kv_head)?;
            let out = &mut out[block.rows.start * width..block.rows.end * width];
            for (range, part) in visible.ranges.iter().zip(softmax.probabilities) {
                let part = CpuStorage::F32(part);
                let part = Matrix::whole(&part, query_rows, range.len());
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
        let (query_width, key_width) = (self.group * self.rule.head_dim, self.rule.head_dim);
        let mut dq = vec![0f32; self.rows * query_width];
        let mut dk = vec![0f32; self.rows * key_width];
        let mut dv = vec![0f32; self.rows * key_width];
        let columns = self.key_columns(kv_head);
        for block in self.blocks.iter() {
            let query_rows = block.rows.len() * self.group;
            let query = q.gather(&block.rows, &self.query_columns(kv_head));
            let dout = dy.gather(&block.rows, &self.query_columns(kv_head));
            let query_matrix = Matrix::whole(&query, query_rows, self.rule.head_dim);
            let dout_matrix = Matrix::whole(&dout, query_rows, self.rule.head_dim);
            let visible = Visible::new(block, self.rule.window);
            let softmax = self.softmax(&visible, query_matrix, k, kv_head)?;
            let mut dscores = (visible.ranges.iter())
                .map(|range| dout_matrix.times(v.part(range, &columns).transposed()))
                .collect::<Result<Vec<_>>>()?;
            softmax.backward(&mut dscores, query_rows, self.rule.scale);
            let dq = &mut dq[block.rows.start * query_width..block.rows.end * query_width];
            let parts = softmax.probabilities.into_iter().zip(dscores);
            for (range, (p, ds)) in visible.ranges.iter().zip(parts) {
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
        let width = self.rule.head_dim;
        Ok([
            gradient(&parts[0], q, self.group * width)?,
            gradient(&parts[1], k, width)?,
            gradient(&parts[2], v, width)?,
        ])
    }
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
        let out = self.side_by_side(&heads, self.group * self.rule.head_dim);
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
    rule: AttentionRule,
) -> Result<Tensor> {
    let ((rows, q_width), (k_rows, kv_width)) = (q.dims2()?, k.dims2()?);
    let fits = q_width.is_multiple_of(rule.head_dim)
        && kv_width.is_multiple_of(rule.head_dim)
        && q_width.is_multiple_of(kv_width);
    let covered = blocks.last().map_or(0, |block| block.rows.end);
    if !fits
        || k_rows != rows
        || v.shape() != k.shape()
        || covered != rows
        || q.dtype() != DType::F32
        || rule.window == Some(0)
    {
        bail!(
            "attention: q {:?}, k {:?}, v {:?}, {covered} rows in blocks and {rule:?} do not fit",
            q.shape(),
            k.shape(),
            v.shape()
        );
    }
    let attention = Attention {
        rule,
        blocks: Arc::clone(blocks),
        kv_heads: kv_width / rule.head_dim,
        group: q_width / kv_width,
        rows,
    };
    q.apply_op3(k, v, attention)
}
