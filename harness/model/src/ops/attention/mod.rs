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
use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;

use super::matrix::{CpuValues, contiguous_matrix, matrix, matrix_mut, product_into};
use super::portable;
use super::vector::add;
use crate::packed::Block;
use softmax::Softmax;
pub(super) use visible::Visible;

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
    /// Query heads per key-value head.
    group: usize,
    /// Queries; keys and values may have rows before those of the queries.
    rows: usize,
}

/// Queries, keys and values: [rows, heads · `head_dim`], [rows, `kv_heads` · `head_dim`] twice.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    query: MatRef<'a, f32>,
    key: MatRef<'a, f32>,
    value: MatRef<'a, f32>,
}

impl Inputs<'_> {
    /// The columns of one query head, and of the key-value head it belongs to.
    fn head(self, head: usize, attention: &Attention) -> Self {
        let width = attention.rule.head_dim;
        let of = |head: usize| head * width..(head + 1) * width;
        Self {
            query: columns(self.query, &of(head)),
            key: columns(self.key, &of(head / attention.group)),
            value: columns(self.value, &of(head / attention.group)),
        }
    }
}

impl Attention {
    /// Attention probabilities of a block's queries in one head.
    fn softmax(&self, visible: &Visible, query: MatRef<f32>, key: MatRef<f32>) -> Softmax {
        let scores = products(visible, query, key);
        Softmax::new(scores, visible, &self.rule)
    }

    /// The output of one head's queries in one block, written to `out` [rows of the block, `head_dim`].
    fn forward_block(&self, inputs: Inputs, block: &Block, mut out: MatMut<f32>) {
        let visible = Visible::new(block, self.rule.window);
        let before = inputs.key.nrows() - self.rows;
        let own = block.rows.start - before..block.rows.end - before;
        let softmax = self.softmax(&visible, rows(inputs.query, &own), inputs.key);
        let probabilities = matrix(&softmax.probabilities, visible.keys);
        let mut accumulate = Accum::Replace;
        for (range, keys) in visible.columns() {
            let part = columns(probabilities, &keys);
            let value = rows(inputs.value, range);
            product_into(out.as_mut(), accumulate, part, value);
            accumulate = Accum::Add;
        }
    }

    /// Gradients of keys and values from one head, both [rows, `head_dim`]; that of its queries is written to `dquery`.
    fn backward_head(
        &self,
        inputs: Inputs,
        dout: MatRef<f32>,
        mut dquery: MatMut<f32>,
    ) -> (Vec<f32>, Vec<f32>) {
        let width = self.rule.head_dim;
        let mut dkeys = vec![0f32; self.rows * width];
        let mut dvalues = vec![0f32; self.rows * width];
        let mut dkey = matrix_mut(&mut dkeys, width);
        let mut dvalue = matrix_mut(&mut dvalues, width);
        for block in self.blocks.iter() {
            let visible = Visible::new(block, self.rule.window);
            let query = rows(inputs.query, &block.rows);
            let dout = rows(dout, &block.rows);
            let softmax = self.softmax(&visible, query, inputs.key);
            let mut dscores = products(&visible, dout, inputs.value);
            softmax.backward(&mut dscores, visible.keys, self.rule.scale);
            let probabilities = matrix(&softmax.probabilities, visible.keys);
            let dscores = matrix(&dscores, visible.keys);
            for (range, keys) in visible.columns() {
                let (p, ds) = (columns(probabilities, &keys), columns(dscores, &keys));
                let dquery = dquery
                    .as_mut()
                    .subrows_mut(block.rows.start, block.rows.len());
                let dkey = dkey.as_mut().subrows_mut(range.start, range.len());
                let dvalue = dvalue.as_mut().subrows_mut(range.start, range.len());
                product_into(dquery, Accum::Add, ds, rows(inputs.key, range));
                product_into(dkey, Accum::Add, ds.transpose(), query);
                product_into(dvalue, Accum::Add, p.transpose(), dout);
            }
        }
        (dkeys, dvalues)
    }

    fn forward(&self, inputs: Inputs) -> Vec<f32> {
        let width = inputs.query.ncols();
        let mut out = vec![0f32; self.rows * width];
        let mut tasks = Vec::new();
        for (head, mut rest) in heads(matrix_mut(&mut out, width), self.rule.head_dim) {
            for block in self.blocks.iter() {
                let (own, others) = rest.split_at_row_mut(block.rows.len());
                tasks.push((inputs.head(head, self), block, own));
                rest = others;
            }
        }
        tasks
            .into_par_iter()
            .for_each(|(inputs, block, out)| self.forward_block(inputs, block, out));
        out
    }

    /// Gradients of queries, keys and values, in their shapes.
    fn backward(&self, inputs: Inputs, dout: MatRef<f32>) -> [Vec<f32>; 3] {
        let width = self.rule.head_dim;
        let mut dquery = vec![0f32; self.rows * inputs.query.ncols()];
        let tasks = heads(matrix_mut(&mut dquery, inputs.query.ncols()), width);
        let (dkeys, dvalues): (Vec<_>, Vec<_>) = tasks
            .into_par_iter()
            .map(|(head, dquery)| {
                let dout = dout.subcols(head * width, width);
                self.backward_head(inputs.head(head, self), dout, dquery)
            })
            .unzip();
        let [dkey, dvalue] = [dkeys, dvalues].map(|parts| self.summed_over_groups(&parts));
        [dquery, dkey, dvalue]
    }

    /// Adds what the query heads of each key-value head give, each [rows, `head_dim`], and puts the sums side by side.
    fn summed_over_groups(&self, parts: &[Vec<f32>]) -> Vec<f32> {
        let width = self.rule.head_dim;
        let mut sums = vec![0f32; self.rows * width * parts.len() / self.group];
        let rows = sums.par_chunks_mut(width * parts.len() / self.group);
        rows.enumerate().for_each(|(row, sums)| {
            for (sum, parts) in sums.chunks_mut(width).zip(parts.chunks(self.group)) {
                for part in parts {
                    add(sum, &part[row * width..(row + 1) * width]);
                }
            }
        });
        sums
    }
}

fn columns<'a>(matrix: MatRef<'a, f32>, columns: &Range<usize>) -> MatRef<'a, f32> {
    matrix.subcols(columns.start, columns.len())
}

fn rows<'a>(matrix: MatRef<'a, f32>, rows: &Range<usize>) -> MatRef<'a, f32> {
    matrix.subrows(rows.start, rows.len())
}

/// `a` · bᵀ for the rows of b in each visible range, side by side: [rows of a, keys].
fn products(visible: &Visible, a: MatRef<f32>, b: MatRef<f32>) -> Vec<f32> {
    let mut values = vec![0f32; a.nrows() * visible.keys];
    let mut out = matrix_mut(&mut values, visible.keys);
    for (range, columns) in visible.columns() {
        let out = out.as_mut().subcols_mut(columns.start, columns.len());
        product_into(out, Accum::Replace, a, rows(b, range).transpose());
    }
    values
}

/// The columns of each head.
fn heads(matrix: MatMut<'_, f32>, head_dim: usize) -> Vec<(usize, MatMut<'_, f32>)> {
    let mut heads = Vec::with_capacity(matrix.ncols() / head_dim);
    let mut rest = matrix;
    while rest.ncols() > 0 {
        let (head, others) = rest.split_at_col_mut(head_dim);
        heads.push((heads.len(), head));
        rest = others;
    }
    heads
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
        let inputs = Inputs {
            query: contiguous_matrix("attention", q, lq)?,
            key: contiguous_matrix("attention", k, lk)?,
            value: contiguous_matrix("attention", v, lv)?,
        };
        Ok((CpuStorage::F32(self.forward(inputs)), lq.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let [query, key, value, dout] =
            [q, k, v, &dy].map(|tensor| CpuValues::of("attention", tensor));
        let inputs = Inputs {
            query: query.matrix()?,
            key: key.matrix()?,
            value: value.matrix()?,
        };
        let [dq, dk, dv] = self.backward(inputs, dout.matrix()?);
        let like = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        Ok((Some(like(dq, q)?), Some(like(dk, k)?), Some(like(dv, v)?)))
    }
}

/// Attention as [`attention`], without gradients, of new rows over keys and values that are kept: q [new rows, heads · `head_dim`],
/// keys and values row-major [all rows, width], the last of which are the new ones; `blocks` cover the new rows, numbered after
/// those before.
pub(crate) fn attention_over(
    q: &Tensor,
    [keys, values]: [&[f32]; 2],
    width: usize,
    blocks: &Arc<Vec<Block>>,
    rule: AttentionRule,
) -> Result<Tensor> {
    let (rows, q_width) = q.dims2()?;
    let attention = Attention {
        rule,
        blocks: Arc::clone(blocks),
        group: q_width / width,
        rows,
    };
    let query = CpuValues::of("attention", q);
    let out = attention.forward(Inputs {
        query: query.matrix()?,
        key: matrix(keys, width),
        value: matrix(values, width),
    });
    Tensor::from_vec(out, q.shape(), q.device())
}

/// Attention of q `[rows, heads · head_dim]` over k and v `[rows, kv_heads · head_dim]`, f32, with the visibility of `blocks`
/// (which cover the rows in order) → `[rows, heads · head_dim]`.
///
/// # Errors
/// When widths are no multiples of `head_dim`, heads are no multiple of key-value heads, or a tensor is not contiguous f32.
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
    if portable::is_portable(q) {
        return portable::attention([q, k, v], blocks, &rule);
    }
    let attention = Attention {
        rule,
        blocks: Arc::clone(blocks),
        group: q_width / kv_width,
        rows,
    };
    q.apply_op3(k, v, attention)
}
