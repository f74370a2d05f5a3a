//! Functions of corresponding elements of contiguous f32 arguments, vectorised and in parallel. Knows no gradients.

use candle_core::{CpuStorage, Layout, Result};
use rayon::prelude::*;

use super::matrix::contiguous;
use super::vector::kernel;

const ELEMENTS_PER_TASK: usize = 16 * 1024;

type Argument<'a> = (&'a CpuStorage, &'a Layout);

/// f(a) for each element.
pub(super) fn map(op: &str, a: Argument, f: impl Fn(f32) -> f32 + Sync) -> Result<Vec<f32>> {
    let a = contiguous(op, a.0, a.1)?;
    let mut y = vec![0f32; a.len()];
    let tasks = y
        .par_chunks_mut(ELEMENTS_PER_TASK)
        .zip(a.par_chunks(ELEMENTS_PER_TASK));
    tasks.for_each(|(y, a)| map_slice(y, a, &f));
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
            map2_slices(y, a, b, &f);
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
            map3_slices(y, first, second, third, &f);
        });
    Ok(y)
}

kernel! {
    fn map_slice<'a, F: Fn(f32) -> f32>(y: &'a mut [f32], a: &'a [f32], f: &'a F) {
        for (y, &a) in y.iter_mut().zip(a) {
            *y = f(a);
        }
    }
}

kernel! {
    fn map2_slices<'a, F: Fn(f32, f32) -> f32>(
        y: &'a mut [f32],
        a: &'a [f32],
        b: &'a [f32],
        f: &'a F,
    ) {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = f(a, b);
        }
    }
}

kernel! {
    fn map3_slices<'a, F: Fn(f32, f32, f32) -> f32>(
        y: &'a mut [f32],
        a: &'a [f32],
        b: &'a [f32],
        c: &'a [f32],
        f: &'a F,
    ) {
        for (((y, &a), &b), &c) in y.iter_mut().zip(a).zip(b).zip(c) {
            *y = f(a, b, c);
        }
    }
}
