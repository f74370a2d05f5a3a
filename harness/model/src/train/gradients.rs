//! Gradients by the names of their weights: summed over several backward passes, measured, clipped. It updates no weights.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Storage, Tensor, Var, bail};
use rayon::prelude::*;

use crate::error::{ModelError, Result};
use crate::ops::{dot, wide};

/// Squares are summed in f32 within a task and in f64 over tasks.
const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// One f32 gradient a weight; a weight that the loss did not depend on has none.
#[derive(Clone, Debug, Default)]
pub struct GradientSet {
    gradients: BTreeMap<String, Tensor>,
}

impl GradientSet {
    /// The gradients of `variables` that a backward pass left, as contiguous f32.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(variables: &BTreeMap<String, Var>, backward: &GradStore) -> Result<Self> {
        let mut gradients = BTreeMap::new();
        for (name, variable) in variables {
            if let Some(gradient) = backward.get(variable) {
                let gradient = gradient.detach().to_dtype(DType::F32)?.contiguous()?;
                gradients.insert(name.clone(), gradient);
            }
        }
        Ok(Self { gradients })
    }

    /// Adds `weight · other`. For the gradient of a mean over the tokens of several batches, give each batch of mean loss
    /// its share of the tokens as weight; then one optimiser step equals a step on all batches at once, but for rounding.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn add(&mut self, other: &Self, weight: f64) -> Result<()> {
        for (name, gradient) in &other.gradients {
            let part = gradient.affine(weight, 0.0)?;
            let sum = match self.gradients.get(name) {
                Some(sum) => (sum + part)?,
                None => part,
            };
            self.gradients.insert(name.clone(), sum);
        }
        Ok(())
    }

    /// Multiplies every gradient by `factor`.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        for gradient in self.gradients.values_mut() {
            *gradient = gradient.affine(factor, 0.0)?;
        }
        Ok(())
    }

    /// Joint L2 norm of all gradients; 0 of none.
    ///
    /// # Errors
    /// When the norm is not finite or a gradient is not on the CPU.
    pub fn norm(&self) -> Result<f64> {
        let squares = self.gradients.values().map(sum_of_squares);
        let norm = squares.sum::<candle_core::Result<f64>>()?.sqrt();
        if norm.is_finite() {
            return Ok(norm);
        }
        Err(ModelError::Diverged(format!(
            "the gradient's norm is {norm}{}; the weights were left as they are",
            self.first_not_finite()?
        )))
    }

    /// Scales all gradients down so that their joint norm is at most `max_norm`; returns the norm before.
    ///
    /// # Errors
    /// As [`Self::norm`].
    pub fn clip(&mut self, max_norm: f64) -> Result<f64> {
        let norm = self.norm()?;
        let factor = clipping_factor(norm, max_norm);
        if factor < 1.0 {
            self.scale(factor)?;
        }
        Ok(norm)
    }

    /// The gradient of the weight `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.gradients.get(name)
    }

    /// All gradients in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let gradients = self.gradients.iter();
        gradients.map(|(name, gradient)| (name.as_str(), gradient))
    }

    fn first_not_finite(&self) -> Result<String> {
        for (name, gradient) in &self.gradients {
            if !sum_of_squares(gradient)?.is_finite() {
                return Ok(format!(", first at {name}"));
            }
        }
        Ok(String::new())
    }
}

/// What gradients of joint norm `norm` are multiplied by, as `torch.nn.utils.clip_grad_norm_` has it.
pub(super) fn clipping_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

/// Σ x² in a fixed order, whatever the number of threads.
fn sum_of_squares(gradient: &Tensor) -> candle_core::Result<f64> {
    let (storage, layout) = gradient.storage_and_layout();
    let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
        (&*storage, layout.contiguous_offsets())
    else {
        bail!("gradient norm: contiguous f32 tensors on the CPU only");
    };
    let parts: Vec<f64> = values[start..end]
        .par_chunks(ELEMENTS_PER_TASK)
        .map(|chunk| f64::from(wide(|| dot(chunk, chunk))))
        .collect();
    Ok(parts.iter().sum())
}
