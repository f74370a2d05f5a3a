//! a · bᵀ for an `a` of few rows, as when texts are generated: the rows of b are read once, where they lie, by dot products.
//! Packing b first, as products of many rows do, would take longer than the product.

use faer::{Accum, MatMut, MatRef};
use pulp::{Arch, Simd, WithSimd};

/// Up to so many rows it is the faster way.
const FEW: usize = 32;

/// Whether [`product_into`] is the way to compute a · bᵀ: few rows, and both row-major.
pub(super) fn fits(a: MatRef<f32>, b: MatRef<f32>) -> bool {
    a.nrows() <= FEW && a.col_stride() == 1 && b.col_stride() == 1
}

/// Writes or adds a · bᵀ to `out`, on one thread.
pub(super) fn product_into(out: MatMut<f32>, accumulate: Accum, a: MatRef<f32>, b: MatRef<f32>) {
    let adds = matches!(accumulate, Accum::Add);
    Arch::new().dispatch(Product { out, adds, a, b });
}

struct Product<'a> {
    out: MatMut<'a, f32>,
    adds: bool,
    a: MatRef<'a, f32>,
    b: MatRef<'a, f32>,
}

/// Rows of either side whose products are summed at a time, in registers.
const TILE: usize = 4;

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for each vector extension")]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (rows, columns) = (self.a.nrows(), self.b.nrows());
        let mut column = 0;
        while column < columns {
            let width = if column + TILE <= columns { TILE } else { 1 };
            let mut row = 0;
            while row < rows {
                row += match (width, rows - row) {
                    (TILE, TILE..) => self.tile::<S, TILE, TILE>(simd, row, column),
                    (TILE, _) => self.tile::<S, 1, TILE>(simd, row, column),
                    (_, TILE..) => self.tile::<S, TILE, 1>(simd, row, column),
                    _ => self.tile::<S, 1, 1>(simd, row, column),
                };
            }
            column += width;
        }
    }
}

impl Product<'_> {
    /// The products of `R` rows of a with `C` rows of b; returns `R`.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "compiled for each vector extension")]
    fn tile<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
    ) -> usize {
        let a: [&[f32]; R] = std::array::from_fn(|i| contiguous_row(self.a, row + i));
        let b: [&[f32]; C] = std::array::from_fn(|j| contiguous_row(self.b, column + j));
        let (a, a_rest) = vectors::<S, R>(a);
        let (b, b_rest) = vectors::<S, C>(b);
        let mut sums = [[simd.splat_f32s(0.0); C]; R];
        for k in 0..a[0].len() {
            let b = b.map(|b| b[k]);
            for (sums, a) in sums.iter_mut().zip(a) {
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = simd.mul_add_f32s(a[k], b, *sum);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (j, sum) in sums.into_iter().enumerate() {
                let rest = a_rest[i].iter().zip(b_rest[j]);
                let product = simd.reduce_sum_f32s(sum) + rest.map(|(a, b)| a * b).sum::<f32>();
                let out = &mut self.out[(row + i, column + j)];
                *out = if self.adds { *out + product } else { product };
            }
        }
        R
    }
}

/// Rows as vectors, all of one length, and what is left of each.
#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for each vector extension")]
fn vectors<S: Simd, const N: usize>(rows: [&[f32]; N]) -> ([&[S::f32s]; N], [&[f32]; N]) {
    let split = rows.map(|row| S::as_simd_f32s(row));
    let length = split[0].0.len();
    (
        split.map(|(vectors, _)| &vectors[..length]),
        split.map(|(_, rest)| rest),
    )
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "compiled for each vector extension")]
fn contiguous_row(matrix: MatRef<'_, f32>, row: usize) -> &[f32] {
    let row = matrix.row(row).try_as_row_major();
    row.map_or(&[], |row| row.as_slice())
}

#[cfg(test)]
mod tests {
    use faer::{Accum, MatRef};

    use super::super::matrix::{matrix, matrix_mut};
    use super::{fits, product_into};

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 + seed) % 101) as f32 / 50.0 - 1.0)
            .collect()
    }

    /// Against sums in f64, for every remainder of rows, columns and lengths.
    #[test]
    fn products_are_right() {
        for (rows, columns, length) in [(1, 1, 1), (1, 5, 64), (4, 4, 16), (6, 9, 70), (31, 3, 7)] {
            let (a, b) = (values(rows * length, 3), values(columns * length, 11));
            let (a, b): (MatRef<f32>, MatRef<f32>) = (matrix(&a, length), matrix(&b, length));
            assert!(fits(a, b));
            let mut out = values(rows * columns, 5);
            let before = out.clone();
            product_into(matrix_mut(&mut out, columns), Accum::Add, a, b);
            for i in 0..rows {
                for j in 0..columns {
                    let terms = (0..length).map(|k| f64::from(a[(i, k)]) * f64::from(b[(j, k)]));
                    let want = terms.sum::<f64>() + f64::from(before[i * columns + j]);
                    let got = f64::from(out[i * columns + j]);
                    assert!((got - want).abs() < 1e-4, "{got}, not {want}");
                }
            }
        }
    }
}
