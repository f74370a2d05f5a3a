//! Matrix products over strided parts of CPU storages, and the checks that fused operations share.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Layout, Result, Shape, bail};

/// A matrix inside a storage: element (r, c) is at `offset + r·row_stride + c·column_stride`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    storage: &'a CpuStorage,
    offset: usize,
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` elements that follow each other at a distance of `row_stride`.
    pub(super) fn rows(
        storage: &'a CpuStorage,
        offset: usize,
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        Self {
            storage,
            offset,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// A whole storage of `columns` columns.
    pub(super) fn whole(storage: &'a CpuStorage, rows: usize, columns: usize) -> Self {
        Self::rows(storage, 0, rows, columns, columns)
    }

    /// The same elements with rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The product `self · other`, row-major.
    pub(super) fn times(self, other: Self) -> Result<Vec<f32>> {
        let product = self.storage.matmul(
            other.storage,
            (1, self.rows, other.columns, self.columns),
            &self.layout(),
            &other.layout(),
        )?;
        match product {
            CpuStorage::F32(values) => Ok(values),
            _ => bail!("matrix product: expected f32"),
        }
    }

    fn layout(&self) -> Layout {
        let shape = Shape::from((self.rows, self.columns));
        Layout::new(
            shape,
            vec![self.row_stride, self.column_stride],
            self.offset,
        )
    }
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
