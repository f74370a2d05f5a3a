//! Functions of corresponding elements of contiguous f32 arguments, vectorised and in parallel. Knows no gradients.

use candle_core::{CpuStorage, Layout, Result};
use rayon::prelude::*;

use super::matrix::contiguous;
use super::vector::wide;

const ELEMENTS_PER_TASK: usize = 16 * 1024;

type Argument<'a> = (&'a CpuStorage, &'a Layout);

/// f(a) for each element.
pub(super) fn map(op: &str, a: Argument, f: impl Fn(f32) -> f32 + Sync) -> Result<Vec<f32>> {
    let a = contiguous(op, a.0, a.1)?;
    let mut y = vec![0f32; a.len()];
    let tasks = y
        .par_chunks_mut(ELEMENTS_PER_TASK)
        .zip(a.par_chunks(ELEMENTS_PER_TASK));
    tasks.for_each(|(y, a)| wide(|| y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a))));
    Ok(y)
}

/// f(a, b) for each pair of elements.
pub(super) fn map2(
    op: &str,
    a: Argument,
    b: Argument,
    f: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<Vec<f32>> {
    let (a, b) = (contiguous(op, a.0, a.1)?, contiguous(op, b.0, b.1)?);
    let mut y = vec![0f32; a.len()];
    let inputs = a
        .par_chunks(ELEMENTS_PER_TASK)
        .zip(b.par_chunks(ELEMENTS_PER_TASK));
    y.par_chunks_mut(ELEMENTS_PER_TASK)
        .zip(inputs)
        .for_each(|(y, (a, b))| {
            wide(|| {
                for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                    *y = f(a, b);
                }
            });
        });
    Ok(y)
}

/// f(a, b, c) for each triple of elements.
pub(super) fn map3(
    op: &str,
    arguments: [Argument; 3],
    f: impl Fn(f32, f32, f32) -> f32 + Sync,
) -> Result<Vec<f32>> {
    let [first, second, third] = arguments.map(|(storage, layout)| contiguous(op, storage, layout));
    let (first, second, third) = (first?, second?, third?);
    let mut y = vec![0f32; first.len()];
    let pairs = first
        .par_chunks(ELEMENTS_PER_TASK)
        .zip(second.par_chunks(ELEMENTS_PER_TASK));
    let inputs = pairs.zip(third.par_chunks(ELEMENTS_PER_TASK));
    y.par_chunks_mut(ELEMENTS_PER_TASK)
        .zip(inputs)
        .for_each(|(y, ((first, second), third))| {
            wide(|| {
                for (((y, &a), &b), &c) in y.iter_mut().zip(first).zip(second).zip(third) {
                    *y = f(a, b, c);
                }
            });
        });
    Ok(y)
}
