//! The gated unit of Llama-style feed-forward layers: silu(gate) · up (Shazeer 2020, "GLU Variants Improve Transformer").

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::matrix::contiguous;
use super::vector::{sigmoid, wide};

const ELEMENTS_PER_TASK: usize = 16 * 1024;

struct SiluGated;

impl CustomOp2 for SiluGated {
    fn name(&self) -> &'static str {
        "silu_gated"
    }

    fn cpu_fwd(
        &self,
        g: &CpuStorage,
        lg: &Layout,
        u: &CpuStorage,
        lu: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (
            contiguous(self.name(), g, lg)?,
            contiguous(self.name(), u, lu)?,
        );
        let mut y = vec![0f32; gate.len()];
        let inputs = gate
            .par_chunks(ELEMENTS_PER_TASK)
            .zip(up.par_chunks(ELEMENTS_PER_TASK));
        y.par_chunks_mut(ELEMENTS_PER_TASK)
            .zip(inputs)
            .for_each(|(y, (gate, up))| {
                wide(|| {
                    for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
                        *y = gate * sigmoid(gate) * up;
                    }
                });
            });
        Ok((CpuStorage::F32(y), lg.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let dgate = gate.apply_op3_no_bwd(up, &dy, &SiluGatedGradient::OfGate)?;
        let dup = gate.apply_op3_no_bwd(up, &dy, &SiluGatedGradient::OfUp)?;
        Ok((Some(dgate), Some(dup)))
    }
}

enum SiluGatedGradient {
    OfGate,
    OfUp,
}

impl candle_core::CustomOp3 for SiluGatedGradient {
    fn name(&self) -> &'static str {
        "silu_gated gradient"
    }

    fn cpu_fwd(
        &self,
        g: &CpuStorage,
        lg: &Layout,
        u: &CpuStorage,
        lu: &Layout,
        d: &CpuStorage,
        ld: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (
            contiguous(self.name(), g, lg)?,
            contiguous(self.name(), u, lu)?,
        );
        let dy = contiguous(self.name(), d, ld)?;
        let mut out = vec![0f32; gate.len()];
        let tasks = out
            .par_chunks_mut(ELEMENTS_PER_TASK)
            .zip(gate.par_chunks(ELEMENTS_PER_TASK));
        let tasks = tasks
            .zip(up.par_chunks(ELEMENTS_PER_TASK))
            .zip(dy.par_chunks(ELEMENTS_PER_TASK));
        tasks.for_each(|(((out, gate), up), dy)| {
            wide(|| {
                for (((out, &gate), &up), &dy) in out.iter_mut().zip(gate).zip(up).zip(dy) {
                    let s = sigmoid(gate);
                    *out = match self {
                        Self::OfGate => dy * up * s * (1.0 + gate * (1.0 - s)),
                        Self::OfUp => dy * gate * s,
                    };
                }
            });
        });
        Ok((CpuStorage::F32(out), lg.shape().clone()))
    }
}

/// `silu(gate) · up`, elementwise, silu(z) = z·σ(z). Both f32 of one shape.
///
/// # Errors
/// When shapes differ or a tensor is not contiguous f32 on the CPU.
pub fn silu_gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.shape() != up.shape() {
        candle_core::bail!(
            "silu_gated: gate {:?} and up {:?} differ",
            gate.shape(),
            up.shape()
        );
    }
    gate.apply_op2(up, SiluGated)
}
