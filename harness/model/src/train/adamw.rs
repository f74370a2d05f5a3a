//! AdamW with f32 state, updated in place (Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", alg. 2).

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use rayon::prelude::*;

use super::gradients::GradientSet;
use super::optimizer::{ELEMENTS_PER_TASK, Kept, Optimizer, update_in_place};
use crate::error::{ModelError, Result};
use crate::ops::{Gradient, is_portable, kernel};

/// Settings besides the learning rate, which the schedule gives.
#[derive(Clone, Copy, Debug)]
pub struct AdamWOptions {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of the weights that `decayed` names.
    pub weight_decay: f64,
    /// What decays.
    pub decayed: DecayGroup,
    /// Gradients are scaled down to this joint L2 norm if they exceed it.
    pub max_gradient_norm: Option<f64>,
}

/// Which weights the weight decay pulls towards zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecayGroup {
    /// Matrices; biases and norms keep their size, as in transformers' trainer.
    Matrices,
    /// Every weight, as in a bare `torch.optim.AdamW`.
    All,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            decayed: DecayGroup::Matrices,
            max_gradient_norm: Some(1.0),
        }
    }
}

/// Running means of a variable's gradients and of their squares, both zero before the first step.
enum Moments {
    Values {
        mean: Vec<f32>,
        square: Vec<f32>,
    },
    /// On the variable's device.
    Tensors(Option<[Tensor; 2]>),
}

impl Moments {
    fn new(variable: &Var) -> Self {
        if is_portable(variable) {
            return Self::Tensors(None);
        }
        Self::Values {
            mean: vec![0.0; variable.elem_count()],
            square: vec![0.0; variable.elem_count()],
        }
    }
}

/// What is kept of a variable.
const PARTS: [&str; 2] = ["mean", "square"];

/// The optimiser with its state for every variable.
pub struct AdamW {
    variables: BTreeMap<String, Var>,
    /// In the order of the variables.
    moments: Vec<Moments>,
    options: AdamWOptions,
    steps: i32,
}

impl AdamW {
    /// An optimiser for `variables`, with zero moments.
    pub fn new(variables: BTreeMap<String, Var>, options: AdamWOptions) -> Self {
        let moments = variables.values().map(Moments::new).collect();
        Self {
            variables,
            moments,
            options,
            steps: 0,
        }
    }
}

impl Optimizer for AdamW {
    fn variables(&self) -> &BTreeMap<String, Var> {
        &self.variables
    }

    fn max_gradient_norm(&self) -> Option<f64> {
        self.options.max_gradient_norm
    }

    fn kept_parts(&self) -> &'static [&'static str] {
        &PARTS
    }

    fn kept(&self) -> Vec<(String, Kept<'_>)> {
        let mut kept = Vec::new();
        for ((name, variable), moments) in self.variables.iter().zip(&self.moments) {
            let parts = match moments {
                Moments::Values { mean, square } => {
                    [mean, square].map(|values| Kept::Values(values, variable.dims()))
                }
                Moments::Tensors(Some([mean, square])) => [mean, square].map(Kept::Tensor),
                Moments::Tensors(None) => continue,
            };
            let named = PARTS.iter().zip(parts);
            kept.extend(named.map(|(part, kept)| (format!("{part}/{name}"), kept)));
        }
        kept
    }

    fn restore(&mut self, kept: &BTreeMap<String, Tensor>, steps: usize) -> Result<()> {
        let part = |part: &str, name: &str| {
            let tensor = kept.get(&format!("{part}/{name}"));
            tensor.ok_or_else(|| {
                ModelError::BadInput(format!("the optimiser's {part} of {name} is missing"))
            })
        };
        for (name, moments) in self.variables.keys().zip(&mut self.moments) {
            let [means, squares] = [part(PARTS[0], name)?, part(PARTS[1], name)?];
            *moments = match moments {
                Moments::Values { .. } => Moments::Values {
                    mean: means.flatten_all()?.to_vec1()?,
                    square: squares.flatten_all()?.to_vec1()?,
                },
                Moments::Tensors(_) => Moments::Tensors(Some([means.clone(), squares.clone()])),
            };
        }
        self.steps = steps as i32;
        Ok(())
    }

    fn update(&mut self, gradients: &GradientSet, scale: f64, learning_rate: f64) -> Result<()> {
        self.steps += 1;
        for ((name, variable), moments) in self.variables.iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(name) else {
                continue;
            };
            let decays = self.options.decayed == DecayGroup::All || variable.rank() >= 2;
            let rule = Rule::new(&self.options, self.steps, decays, scale, learning_rate);
            match (gradient, moments) {
                (gradient, Moments::Values { mean, square }) => {
                    gradient.show(|gradient| {
                        update_in_place("adamw", variable, |weights| {
                            rule.apply(weights, gradient, mean, square);
                        })
                    })??;
                }
                (Gradient::Tensor(gradient), Moments::Tensors(moments)) => {
                    rule.apply_to_tensors(variable, gradient, moments)?;
                }
                (Gradient::Values(_), Moments::Tensors(_)) => {
                    let message = format!("gradient and moments of {name} are on two devices");
                    return Err(ModelError::BadInput(message));
                }
            }
        }
        Ok(())
    }
}

/// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← keep·w − rate·m / (√v / √(1 − β₂ᵗ) + ε).
struct Rule {
    gradient_scale: f32,
    beta1: f32,
    beta1_complement: f32,
    beta2: f32,
    beta2_complement: f32,
    keep: f32,
    rate: f32,
    inverse_bias2: f32,
    epsilon: f32,
}

kernel! {
    fn apply_to_slices<'a>(
        rule: &'a Rule,
        weights: &'a mut [f32],
        gradient: &'a [f32],
        means: &'a mut [f32],
        squares: &'a mut [f32],
    ) {
        let elements = weights.iter_mut().zip(gradient).zip(means).zip(squares);
        for (((weight, &gradient), mean), square) in elements {
            let gradient = gradient * rule.gradient_scale;
            *mean = rule.beta1 * *mean + rule.beta1_complement * gradient;
            *square = rule.beta2 * *square + rule.beta2_complement * gradient * gradient;
            let root = square.sqrt() * rule.inverse_bias2;
            *weight = rule.keep * *weight - rule.rate * *mean / (root + rule.epsilon);
        }
    }
}

impl Rule {
    fn new(options: &AdamWOptions, step: i32, decays: bool, scale: f64, rate: f64) -> Self {
        let decay = if decays { options.weight_decay } else { 0.0 };
        let bias1 = 1.0 - options.beta1.powi(step);
        let bias2 = 1.0 - options.beta2.powi(step);
        Self {
            gradient_scale: scale as f32,
            beta1: options.beta1 as f32,
            // Taken before rounding: 1 − 0.999 in f32 would be off by 1e-5.
            beta1_complement: (1.0 - options.beta1) as f32,
            beta2: options.beta2 as f32,
            beta2_complement: (1.0 - options.beta2) as f32,
            keep: (1.0 - rate * decay) as f32,
            rate: (rate / bias1) as f32,
            inverse_bias2: (1.0 / bias2.sqrt()) as f32,
            epsilon: options.epsilon as f32,
        }
    }

    fn apply(&self, weights: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let tasks = weights
            .par_chunks_mut(ELEMENTS_PER_TASK)
            .zip(gradient.par_chunks(ELEMENTS_PER_TASK))
            .zip(mean.par_chunks_mut(ELEMENTS_PER_TASK))
            .zip(square.par_chunks_mut(ELEMENTS_PER_TASK));
        tasks.for_each(|(((weights, gradient), means), squares)| {
            apply_to_slices(self, weights, gradient, means, squares);
        });
    }

    fn apply_to_tensors(
        &self,
        variable: &Var,
        gradient: &Tensor,
        moments: &mut Option<[Tensor; 2]>,
    ) -> candle_core::Result<()> {
        let times = |tensor: &Tensor, factor: f32| tensor.affine(f64::from(factor), 0.0);
        let gradient = times(gradient, self.gradient_scale)?;
        let mut mean = times(&gradient, self.beta1_complement)?;
        let mut square = times(&gradient.sqr()?, self.beta2_complement)?;
        if let Some([old_mean, old_square]) = moments.take() {
            mean = (mean + times(&old_mean, self.beta1)?)?;
            square = (square + times(&old_square, self.beta2)?)?;
        }
        let [bias, epsilon] = [self.inverse_bias2, self.epsilon].map(f64::from);
        let root = square.sqrt()?.affine(bias, epsilon)?;
        let kept = times(&variable.detach(), self.keep)?;
        variable.set(&(kept - (times(&mean, self.rate)? / root)?)?)?;
        *moments = Some([mean, square]);
        Ok(())
    }
}
