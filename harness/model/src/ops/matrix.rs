//! Matrix products over views of f32 slices, and how operations get at the values of CPU tensors. Knows no gradients.
//!
//! The products of a piece of work are faer's; how work is cut into pieces is decided here, by shape alone.

use candle_core::{CpuStorage, Layout, Result, Storage, StorageRef, Tensor, bail};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::few_rows;

/// Multiplications that one task is worth: half a millisecond of one core.
const MULTIPLICATIONS_PER_TASK: usize = 32 << 20;
/// Multiplications in whose time one element comes from memory: what counts where rows are few.
const MULTIPLICATIONS_PER_ELEMENT: usize = 128;

/// Row-major `values` as a matrix of `columns` columns.
pub(super) fn matrix(values: &[f32], columns: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice(values, values.len() / columns, columns)
}

/// As [`matrix`], to be written to.
pub(super) fn matrix_mut(values: &mut [f32], columns: usize) -> MatMut<'_, f32> {
    let rows = values.len() / columns;
    MatMut::from_row_major_slice_mut(values, rows, columns)
}

/// The product a · b, row-major.
pub(super) fn product(a: MatRef<f32>, b: MatRef<f32>) -> Vec<f32> {
    let mut values = vec![0f32; a.nrows() * b.ncols()];
    if b.ncols() > 0 {
        product_into(matrix_mut(&mut values, b.ncols()), Accum::Replace, a, b);
    }
    values
}

/// Writes or adds a · b to `out`, on all threads.
///
/// The longer side is halved until a piece is worth one task or one tile, whatever the number of threads, and each element is
/// summed by one thread. (faer's own threads wait for each other by spinning, which costs dearly where cores are shared.)
pub(super) fn product_into(out: MatMut<f32>, accumulate: Accum, a: MatRef<f32>, b: MatRef<f32>) {
    let (rows, columns) = (out.nrows(), out.ncols());
    let cost = (rows + MULTIPLICATIONS_PER_ELEMENT) * columns * a.ncols();
    let half = half(rows.max(columns));
    if cost <= MULTIPLICATIONS_PER_TASK || half == rows.max(columns) {
        if few_rows::fits(a, b.transpose()) {
            few_rows::product_into(out, accumulate, a, b.transpose());
        } else {
            matmul(out, accumulate, a, b, 1.0, Par::Seq);
        }
    } else if rows >= columns {
        let (top, bottom) = out.split_at_row_mut(half);
        let (a_top, a_bottom) = a.split_at_row(half);
        rayon::join(
            || product_into(top, accumulate, a_top, b),
            || product_into(bottom, accumulate, a_bottom, b),
        );
    } else {
        let (left, right) = out.split_at_col_mut(half);
        let (b_left, b_right) = b.split_at_col(half);
        rayon::join(
            || product_into(left, accumulate, a, b_left),
            || product_into(right, accumulate, a, b_right),
        );
    }
}

/// About half, a multiple of what the kernels compute at a time.
fn half(length: usize) -> usize {
    const TILE: usize = 48;
    (length / 2).next_multiple_of(TILE).min(length)
}

/// The elements of a contiguous f32 argument of the operation `op`.
pub(super) fn contiguous<'a>(
    op: &str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else {
        bail!("{op}: f32 tensors only");
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("{op}: contiguous tensors only"),
    }
}

/// The elements of a contiguous f32 argument [rows, columns] of the operation `op`.
pub(super) fn contiguous_matrix<'a>(
    op: &str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<MatRef<'a, f32>> {
    let (rows, columns) = layout.shape().dims2()?;
    let values = contiguous(op, storage, layout)?;
    Ok(MatRef::from_row_major_slice(values, rows, columns))
}

/// A tensor's values while a backward pass reads them.
pub(super) struct CpuValues<'a> {
    op: &'static str,
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> CpuValues<'a> {
    /// Of an argument of the operation `op`.
    pub(super) fn of(op: &'static str, tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self {
            op,
            storage,
            layout,
        }
    }

    /// All elements of a contiguous f32 tensor.
    pub(super) fn slice(&self) -> Result<&[f32]> {
        contiguous(self.op, self.storage()?, self.layout)
    }

    /// The elements of a contiguous f32 tensor [rows, columns].
    pub(super) fn matrix(&self) -> Result<MatRef<'_, f32>> {
        contiguous_matrix(self.op, self.storage()?, self.layout)
    }

    fn storage(&self) -> Result<&CpuStorage> {
        match &*self.storage {
            Storage::Cpu(storage) => Ok(storage),
            _ => bail!("{}: CPU tensors only", self.op),
        }
    }
}

/// Appends the elements of a contiguous f32 tensor on the CPU to `values`.
pub(crate) fn append(values: &mut Vec<f32>, tensor: &Tensor) -> Result<()> {
    values.extend_from_slice(CpuValues::of("cache", tensor).slice()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{matrix, product};

    #[test]
    fn a_long_sum_into_a_small_matrix_ends() {
        // More than one task is worth, and less than can be cut.
        for (rows, inner, columns) in [(40, 1 << 15, 48), (3, 1 << 21, 5), (48, 1 << 15, 48)] {
            let (a, b) = (vec![0.5; rows * inner], vec![2.0; inner * columns]);
            let values = product(matrix(&a, inner), matrix(&b, columns));
            let expected = inner as f32;
            let is_right = |value: &f32| (value / expected - 1.0).abs() < 1e-4;
            assert!(values.iter().all(is_right), "{rows} x {inner} x {columns}");
        }
    }
}
