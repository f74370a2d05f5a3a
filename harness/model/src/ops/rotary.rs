//! Rotary position embedding with its gradient, rotate-half convention (Su et al. 2021, "RoFormer"; layout of GPT-NeoX and Llama).
//!
//! The leading dimensions of each head are turned, as many as the table has angles for; the others pass through.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::matrix::contiguous;
use super::portable;
use super::vector::kernel;

const ROWS_PER_TASK: usize = 32;

/// Cosines and sines for the position of each row of one packed batch.
#[derive(Clone, Debug)]
pub struct RotaryTable {
    /// [rows, half], row-major.
    cosines: Arc<Vec<f32>>,
    /// [rows, half], row-major.
    sines: Arc<Vec<f32>>,
    half: usize,
    /// Cosines and sines on the device that asked for them.
    on_device: Arc<OnceLock<[Tensor; 2]>>,
}

impl RotaryTable {
    /// Angles `position · inverse_frequency` in f32, as the reference implementations compute them, for rows given as
    /// (position, inverse frequencies of `half` planes). Cosines and sines are multiplied by `magnitude`.
    pub fn new(rows: &[(u32, &[f32])], half: usize, magnitude: f32) -> Self {
        let angles = || {
            rows.iter()
                .flat_map(|(position, planes)| planes.iter().map(|&f| *position as f32 * f))
        };
        Self {
            cosines: Arc::new(angles().map(|angle| angle.cos() * magnitude).collect()),
            sines: Arc::new(angles().map(|angle| angle.sin() * magnitude).collect()),
            half,
            on_device: Arc::default(),
        }
    }

    /// Cosines and sines [rows, half] on `device`, brought there once.
    fn on(&self, device: &Device) -> Result<[Tensor; 2]> {
        if let Some(tensors) = self.on_device.get()
            && tensors[0].device().same_device(device)
        {
            return Ok(tensors.clone());
        }
        let tensor = |values: &[f32]| Tensor::from_slice(values, ((), self.half), device);
        let tensors = [tensor(&self.cosines)?, tensor(&self.sines)?];
        Ok(self.on_device.get_or_init(|| tensors).clone())
    }
}

#[derive(Clone)]
struct Rotary {
    table: RotaryTable,
    head_dim: usize,
    /// +1 rotates, −1 rotates back: the gradient of a rotation is the inverse rotation, times the same magnitude.
    direction: f32,
}

kernel! {
    /// Turns rows of `width`: x by the angles' cosines and sines.
    fn turn_rows<'a>(
        op: &'a Rotary,
        width: usize,
        x: &'a [f32],
        cosines: &'a [f32],
        sines: &'a [f32],
        y: &'a mut [f32],
    ) {
        let half = op.table.half;
        for (row, (y, x)) in y.chunks_mut(width).zip(x.chunks(width)).enumerate() {
            let cosines = &cosines[row * half..(row + 1) * half];
            let sines = &sines[row * half..(row + 1) * half];
            let heads = y.chunks_mut(op.head_dim).zip(x.chunks(op.head_dim));
            for (y, x) in heads {
                y[2 * half..].copy_from_slice(&x[2 * half..]);
                let (y1, y2) = y[..2 * half].split_at_mut(half);
                let (x1, x2) = x[..2 * half].split_at(half);
                for i in 0..half {
                    let sine = op.direction * sines[i];
                    y1[i] = x1[i] * cosines[i] - x2[i] * sine;
                    y2[i] = x2[i] * cosines[i] + x1[i] * sine;
                }
            }
        }
    }
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
                turn_rows(self, width, x, cosines, sines, y);
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

/// Rotates every head of x `[rows, heads · head_dim]` (f32) by the angles of its row.
///
/// # Errors
/// When the row count or head size does not fit the table, or x is not contiguous f32.
pub fn rotary(x: &Tensor, table: &RotaryTable, head_dim: usize) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let fits = 2 * table.half <= head_dim && width.is_multiple_of(head_dim);
    if rows * table.half != table.cosines.len() || !fits {
        candle_core::bail!(
            "rotary: input {:?} with heads of {head_dim} does not fit {} angles, {} a row",
            x.shape(),
            table.cosines.len(),
            table.half
        );
    }
    if portable::is_portable(x) {
        return portable::rotary(x, &table.on(x.device())?, head_dim);
    }
    x.apply_op1(Rotary {
        table: table.clone(),
        head_dim,
        direction: 1.0,
    })
}
