//! Rows of an embedding table by token, with the gradient of the table. It refuses tokens that the table does not have.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use faer::Accum;

use super::gradient_buffers::weight_gradient;
use super::matrix::{CpuValues, contiguous};
use super::portable;

struct Embedding {
    rows: Vec<u32>,
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.shape().dims2()?.1;
        let table = contiguous(self.name(), table, layout)?;
        let mut y = Vec::with_capacity(self.rows.len() * width);
        for &row in &self.rows {
            y.extend_from_slice(&table[row as usize * width..][..width]);
        }
        Ok((CpuStorage::F32(y), Shape::from((self.rows.len(), width))))
    }

    fn bwd(&self, table: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let width = table.dim(1)?;
        let dy = dy.contiguous()?;
        let dy = CpuValues::of(self.name(), &dy);
        let dy = dy.slice()?;
        weight_gradient(table, |sum, accumulate| {
            if matches!(accumulate, Accum::Replace) {
                sum.fill(0.0);
            }
            for (&row, dy) in self.rows.iter().zip(dy.chunks(width)) {
                let sum = &mut sum[row as usize * width..][..width];
                sum.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
            }
        })
    }
}

/// Rows `rows` of `table` [vocabulary, width], f32 → [rows, width].
///
/// # Errors
/// When there is no such row, or the table is not contiguous f32.
pub fn embedding(table: &Tensor, rows: Vec<u32>) -> Result<Tensor> {
    let (vocabulary, _) = table.dims2()?;
    if let Some(row) = rows.iter().find(|&&row| row as usize >= vocabulary) {
        bail!("embedding: there is no row {row} in a table of {vocabulary}");
    }
    if portable::is_portable(table) {
        return portable::embedding(table, rows);
    }
    table.apply_op1(Embedding { rows })
}
