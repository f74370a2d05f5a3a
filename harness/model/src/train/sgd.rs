//! Plain stochastic gradient descent, w ← w − rate·g, updated in place: no momentum, no weight decay, no state.

use std::collections::BTreeMap;

use candle_core::Var;
use rayon::prelude::*;

use super::gradients::GradientSet;
use super::optimizer::{ELEMENTS_PER_TASK, Optimizer, update_in_place};
use crate::error::Result;
use crate::ops::{Gradient, is_portable};

/// The optimiser; its learning rate comes with every step.
pub struct Sgd {
    variables: BTreeMap<String, Var>,
    max_gradient_norm: Option<f64>,
}

impl Sgd {
    /// An optimiser for `variables`, whose gradients are scaled down to `max_gradient_norm` if given.
    pub fn new(variables: BTreeMap<String, Var>, max_gradient_norm: Option<f64>) -> Self {
        Self {
            variables,
            max_gradient_norm,
        }
    }
}

impl Optimizer for Sgd {
    fn variables(&self) -> &BTreeMap<String, Var> {
        &self.variables
    }

    fn max_gradient_norm(&self) -> Option<f64> {
        self.max_gradient_norm
    }

    fn update(&mut self, gradients: &GradientSet, scale: f64, learning_rate: f64) -> Result<()> {
        let rate = (learning_rate * scale) as f32;
        for (name, variable) in &self.variables {
            let Some(gradient) = gradients.get(name) else {
                continue;
            };
            if let Gradient::Tensor(tensor) = gradient
                && is_portable(variable)
            {
                let change = tensor.affine(f64::from(rate), 0.0)?;
                variable.set(&(variable.as_tensor() - change)?)?;
                continue;
            }
            gradient.show(|gradient| {
                update_in_place("sgd", variable, |weights| {
                    let tasks = weights
                        .par_chunks_mut(ELEMENTS_PER_TASK)
                        .zip(gradient.par_chunks(ELEMENTS_PER_TASK));
                    tasks.for_each(|(weights, gradient)| {
                        for (weight, gradient) in weights.iter_mut().zip(gradient) {
                            *weight -= rate * gradient;
                        }
                    });
                })
            })??;
        }
        Ok(())
    }
}
