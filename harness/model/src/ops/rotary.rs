//! Rotary position embedding with its gradient, rotate-half convention (Su et al. 2021, "RoFormer"; layout of GPT-NeoX and Llama).

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::matrix::contiguous;

const ROWS_PER_TASK: usize = 32;

/// Cosines and sines for the position of each row of one packed batch.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    /// [rows, half], row-major.
    cosines: Arc<Vec<f32>>,
    /// [rows, half], row-major.
    sines: Arc<Vec<f32>>,
    half: usize,
}

impl RotaryTable {
    /// Angles `position · inverse_frequency` in f32, as the reference implementations compute them.
    pub fn new(positions: &[u32], inverse_frequencies: &[f32]) -> Self {
        let angles = || {
            positions
                .iter()
                .flat_map(|&p| inverse_frequencies.iter().map(move |&f| p as f32 * f))
        };
        Self {
            cosines: Arc::new(angles().map(f32::cos).collect()),
            sines: Arc::new(angles().map(f32::sin).collect()),
            half: inverse_frequencies.len(),
        }
    }
}

#[derive(Clone)]
struct Rotary {
    table: RotaryTable,
    /// +1 rotates, −1 rotates back: the gradient of a rotation is the inverse rotation.
    direction: f32,
}

impl CustomOp1 for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = contiguous(self.name(), x, layout)?;
        let (_, width) = layout.shape().dims2()?;
        let half = self.table.half;
        let mut y = vec![0f32; values.len()];
        let inputs = values.par_chunks(width * ROWS_PER_TASK);
        let angles = (self.table.cosines.par_chunks(half * ROWS_PER_TASK))
            .zip(self.table.sines.par_chunks(half * ROWS_PER_TASK));
        y.par_chunks_mut(width * ROWS_PER_TASK)
            .zip(inputs)
            .zip(angles)
            .for_each(|((y, x), (cosines, sines))| {
                super::wide(|| {
                    for (row, (y, x)) in y.chunks_mut(width).zip(x.chunks(width)).enumerate() {
                        let cosines = &cosines[row * half..(row + 1) * half];
                        let sines = &sines[row * half..(row + 1) * half];
                        for (y, x) in y.chunks_mut(2 * half).zip(x.chunks(2 * half)) {
                            let ((y1, y2), (x1, x2)) = (y.split_at_mut(half), x.split_at(half));
                            for i in 0..half {
                                let sine = self.direction * sines[i];
                                y1[i] = x1[i] * cosines[i] - x2[i] * sine;
                                y2[i] = x2[i] * cosines[i] + x1[i] * sine;
                            }
                        }
                    }
                });
            });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let back = Self {
            direction: -self.direction,
            ..self.clone()
        };
        Ok(Some(dy.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}

/// Rotates every head of x `[rows, heads · head_dim]` (f32) by the angles of its row; the whole head takes part.
///
/// # Errors
/// When the row count or head size does not fit the table, or x is not contiguous f32 on the CPU.
pub fn rotary(x: &Tensor, table: &RotaryTable) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if rows * table.half != table.cosines.len() || width % (2 * table.half) != 0 {
        candle_core::bail!(
            "rotary: input {:?} does not fit {} rows of {} angles",
            x.shape(),
            table.cosines.len() / table.half,
            table.half
        );
    }
    x.apply_op1(Rotary {
        table: table.clone(),
        direction: 1.0,
    })
}
