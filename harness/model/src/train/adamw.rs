//! AdamW with f32 state, updated in place (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", alg. 2).
//!
//! Matrices decay, biases and norms do not.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Tensor, Var, bail};
use rayon::prelude::*;

use crate::error::Result;
use crate::ops::wide;

const ELEMENTS_PER_TASK: usize = 64 * 1024;

/// Settings besides the learning rate, which the schedule gives.
#[derive(Clone, Copy, Debug)]
pub struct AdamWOptions {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Gradients are scaled down to this joint L2 norm if they exceed it.
    pub max_gradient_norm: Option<f64>,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            max_gradient_norm: Some(1.0),
        }
    }
}

struct Slot {
    variable: Var,
    mean: Tensor,
    square: Tensor,
    decays: bool,
}

/// The optimiser with its state for every variable.
pub struct AdamW {
    slots: BTreeMap<String, Slot>,
    options: AdamWOptions,
    steps: i32,
}

impl AdamW {
    /// An optimiser for `variables`, with zero moments.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(variables: BTreeMap<String, Var>, options: AdamWOptions) -> Result<Self> {
        let mut slots = BTreeMap::new();
        for (name, variable) in variables {
            let (mean, square) = (variable.zeros_like()?, variable.zeros_like()?);
            let decays = variable.rank() >= 2;
            slots.insert(
                name,
                Slot {
                    variable,
                    mean,
                    square,
                    decays,
                },
            );
        }
        Ok(Self {
            slots,
            options,
            steps: 0,
        })
    }

    /// One update; variables without a gradient are left alone. Returns the joint L2 norm of the gradients before clipping.
    ///
    /// # Errors
    /// When a gradient is not finite (nothing is changed then), or has another dtype or device than its variable.
    pub fn step(&mut self, gradients: &GradStore, learning_rate: f64) -> Result<f64> {
        let norm = self.gradient_norm(gradients)?;
        if !norm.is_finite() {
            return Err(crate::ModelError::BadInput(format!(
                "the gradient's norm is {norm}; the weights were left as they are"
            )));
        }
        let clip = self
            .options
            .max_gradient_norm
            .map_or(1.0, |max| (max / (norm + 1e-6)).min(1.0));
        self.steps += 1;
        let bias1 = 1.0 - self.options.beta1.powi(self.steps);
        let bias2 = 1.0 - self.options.beta2.powi(self.steps);
        for slot in self.slots.values() {
            let Some(gradient) = gradients.get(&slot.variable) else {
                continue;
            };
            let gradient = gradient.contiguous()?;
            let decay = if slot.decays {
                learning_rate * self.options.weight_decay
            } else {
                0.0
            };
            let moment = |decay: f64, squared| Moment {
                decay: decay as f32,
                clip: clip as f32,
                squared,
            };
            slot.mean
                .inplace_op2(&gradient, &moment(self.options.beta1, false))?;
            slot.square
                .inplace_op2(&gradient, &moment(self.options.beta2, true))?;
            let update = Update {
                keep: (1.0 - decay) as f32,
                rate: (learning_rate / bias1) as f32,
                inverse_bias2: (1.0 / bias2.sqrt()) as f32,
                epsilon: self.options.epsilon as f32,
            };
            slot.variable
                .inplace_op3(&slot.mean, &slot.square, &update)?;
        }
        Ok(norm)
    }

    fn gradient_norm(&self, gradients: &GradStore) -> Result<f64> {
        let mut sum = 0.0;
        for slot in self.slots.values() {
            if let Some(gradient) = gradients.get(&slot.variable) {
                sum += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        Ok(sum.sqrt())
    }
}

/// m ← βm + (1−β)·g, or with g² in place of g.
struct Moment {
    decay: f32,
    clip: f32,
    squared: bool,
}

/// w ← keep·w − rate·m / (√v / √(1 − β₂ᵗ) + ε).
struct Update {
    keep: f32,
    rate: f32,
    inverse_bias2: f32,
    epsilon: f32,
}

impl InplaceOp2 for Moment {
    fn name(&self) -> &'static str {
        "adamw moment"
    }

    fn cpu_fwd(
        &self,
        moment: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let gradient = source(gradient, gradient_layout)?;
        let moment = destination(moment, layout)?;
        let tasks = moment
            .par_chunks_mut(ELEMENTS_PER_TASK)
            .zip(gradient.par_chunks(ELEMENTS_PER_TASK));
        tasks.for_each(|(moment, gradient)| {
            wide(|| {
                for (moment, &gradient) in moment.iter_mut().zip(gradient) {
                    let gradient = gradient * self.clip;
                    let new = if self.squared {
                        gradient * gradient
                    } else {
                        gradient
                    };
                    *moment = self.decay * *moment + (1.0 - self.decay) * new;
                }
            });
        });
        Ok(())
    }
}

impl InplaceOp3 for Update {
    fn name(&self) -> &'static str {
        "adamw update"
    }

    fn cpu_fwd(
        &self,
        weight: &mut CpuStorage,
        layout: &Layout,
        mean: &CpuStorage,
        mean_layout: &Layout,
        square: &CpuStorage,
        square_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (mean, square) = (source(mean, mean_layout)?, source(square, square_layout)?);
        let weight = destination(weight, layout)?;
        let moments = mean
            .par_chunks(ELEMENTS_PER_TASK)
            .zip(square.par_chunks(ELEMENTS_PER_TASK));
        weight
            .par_chunks_mut(ELEMENTS_PER_TASK)
            .zip(moments)
            .for_each(|(weight, (mean, square))| {
                wide(|| {
                    for ((weight, &mean), &square) in weight.iter_mut().zip(mean).zip(square) {
                        let step =
                            self.rate * mean / (square.sqrt() * self.inverse_bias2 + self.epsilon);
                        *weight = self.keep * *weight - step;
                    }
                });
            });
        Ok(())
    }
}

fn source<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("adamw: contiguous f32 tensors only"),
    }
}

fn destination<'a>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("adamw: contiguous f32 tensors only"),
    }
}
