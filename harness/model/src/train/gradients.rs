//! Gradients by the names of their weights: summed over several backward passes, measured, clipped. It updates no weights.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use crate::error::{ModelError, Result};
use crate::ops::{Gradient, GradientBuffers, square_sum};

/// Squares are summed in f32 within a task and in f64 over tasks.
const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// One f32 gradient a weight, in memory that is used again by the next step; a weight that no loss depended on has none.
#[derive(Clone, Debug)]
pub struct GradientSet {
    variables: BTreeMap<String, Tensor>,
    buffers: GradientBuffers,
}

impl GradientSet {
    /// Room for the gradients of `variables`, none of which is there yet.
    pub fn new(variables: &BTreeMap<String, Var>) -> Self {
        let tensor =
            |(name, variable): (&String, &Var)| (name.clone(), variable.as_tensor().clone());
        Self {
            buffers: GradientBuffers::new(variables.values().map(Var::as_tensor)),
            variables: variables.iter().map(tensor).collect(),
        }
    }

    /// These gradients, by the names of `variables`; a variable that has none here has none.
    ///
    /// # Errors
    /// When a gradient is not of its variable's shape, or of none of them.
    pub fn holding(
        variables: &BTreeMap<String, Var>,
        gradients: &BTreeMap<String, Tensor>,
    ) -> Result<Self> {
        let mut pairs = Vec::new();
        for (name, gradient) in gradients {
            match variables.get(name) {
                Some(variable) if variable.shape() == gradient.shape() => {
                    pairs.push((variable.as_tensor(), gradient.clone()));
                }
                _ => {
                    let shape = gradient.shape();
                    return Err(ModelError::BadInput(format!(
                        "no weight {name} of shape {shape:?}, which a gradient was given for"
                    )));
                }
            }
        }
        let tensor =
            |(name, variable): (&String, &Var)| (name.clone(), variable.as_tensor().clone());
        Ok(Self {
            buffers: GradientBuffers::holding(pairs.into_iter()),
            variables: variables.iter().map(tensor).collect(),
        })
    }

    /// Moves all gradients out; there are none afterwards.
    ///
    /// # Errors
    /// When a device fails.
    pub fn take(&mut self) -> Result<BTreeMap<String, Tensor>> {
        let mut taken = BTreeMap::new();
        for (name, variable) in &self.variables {
            if let Some(gradient) = self.buffers.take(variable)? {
                taken.insert(name.clone(), gradient);
            }
        }
        Ok(taken)
    }

    /// Adds the gradients of `loss`, a scalar. For the gradient of a mean over the tokens of several batches, give each batch's
    /// mean loss times its share of the tokens; then one optimiser step equals a step on all batches at once, but for rounding.
    ///
    /// # Errors
    /// When the loss is no scalar or does not depend on anything.
    pub fn add_backward(&mut self, loss: &Tensor) -> Result<()> {
        Ok(self.buffers.collect(|| loss.backward())?)
    }

    /// Forgets all gradients.
    pub fn clear(&mut self) {
        self.buffers.clear();
    }

    /// Multiplies every gradient by `factor`.
    ///
    /// # Errors
    /// When a device fails.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        Ok(self.buffers.scale(factor as f32)?)
    }

    /// Joint L2 norm of all gradients; 0 of none.
    ///
    /// # Errors
    /// When the norm is not finite.
    pub fn norm(&self) -> Result<f64> {
        let squares: Vec<(&str, f64)> = self
            .iter()
            .map(|(name, gradient)| Ok((name, sum_of_squares(gradient)?)))
            .collect::<Result<_>>()?;
        let norm = squares.iter().map(|(_, square)| square).sum::<f64>().sqrt();
        if norm.is_finite() {
            return Ok(norm);
        }
        let broken = squares.iter().find(|(_, square)| !square.is_finite());
        let place = broken.map_or(String::new(), |(name, _)| format!(", first at {name}"));
        Err(ModelError::Diverged(format!(
            "the gradient's norm is {norm}{place}; the weights were left as they are"
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

    /// Refuses gradients of other shapes than those that `variables` of the same names have.
    pub(super) fn require_fit(&self, variables: &BTreeMap<String, Var>) -> Result<()> {
        for (name, variable) in variables {
            if let Some(own) = self.variables.get(name)
                && own.shape() != variable.shape()
            {
                let (have, want) = (own.shape(), variable.shape());
                return Err(ModelError::BadInput(format!(
                    "a gradient of shape {have:?} for {name} of {want:?}"
                )));
            }
        }
        Ok(())
    }

    /// The gradient of the weight `name`.
    pub fn get(&self, name: &str) -> Option<Gradient<'_>> {
        self.buffers.get(self.variables.get(name)?)
    }

    /// All gradients in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Gradient<'_>)> {
        let variables = self.variables.iter();
        variables.filter_map(|(name, variable)| Some((name.as_str(), self.buffers.get(variable)?)))
    }
}

/// What gradients of joint norm `norm` are multiplied by, as `torch.nn.utils.clip_grad_norm_` has it.
pub(super) fn clipping_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

/// Σ x²; on the CPU in a fixed order, whatever the number of threads.
fn sum_of_squares(gradient: Gradient) -> Result<f64> {
    if let Gradient::Tensor(tensor) = gradient
        && !tensor.device().is_cpu()
    {
        return Ok(f64::from(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?));
    }
    Ok(gradient.show(|values| {
        let parts: Vec<f64> = values
            .par_chunks(ELEMENTS_PER_TASK)
            .map(|chunk| f64::from(square_sum(chunk)))
            .collect();
        parts.iter().sum()
    })?)
}
