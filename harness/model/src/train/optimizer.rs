//! What every optimiser shares: one step from a backward pass or from summed gradients, with clipping. No update rules.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var, bail};

use super::gradients::{GradientSet, clipping_factor};
use crate::error::Result;

/// Elements that one thread updates at a time.
pub(super) const ELEMENTS_PER_TASK: usize = 64 * 1024;

/// An optimiser over named variables.
pub trait Optimizer {
    /// What is optimised.
    fn variables(&self) -> &BTreeMap<String, Var>;

    /// Gradients are scaled down to this joint L2 norm if they exceed it.
    fn max_gradient_norm(&self) -> Option<f64>;

    /// Applies the rule to every variable with a gradient, taking each gradient times `gradient_scale`.
    ///
    /// # Errors
    /// When a gradient has another shape, dtype or device than its variable.
    fn update(
        &mut self,
        gradients: &GradientSet,
        gradient_scale: f64,
        learning_rate: f64,
    ) -> Result<()>;

    /// One clipped update; variables without a gradient are left alone. Returns the joint L2 norm of the gradients before
    /// clipping.
    ///
    /// # Errors
    /// When a gradient is not finite (nothing is changed then), or as [`Self::update`].
    fn step_from(&mut self, gradients: &GradientSet, learning_rate: f64) -> Result<f64> {
        let norm = gradients.norm()?;
        let clip = self.max_gradient_norm();
        let scale = clip.map_or(1.0, |max_norm| clipping_factor(norm, max_norm));
        self.update(gradients, scale, learning_rate)?;
        Ok(norm)
    }

    /// [`Self::step_from`] the gradients of a single backward pass.
    ///
    /// # Errors
    /// As [`Self::step_from`].
    fn step(&mut self, backward: &GradStore, learning_rate: f64) -> Result<f64> {
        let gradients = GradientSet::new(self.variables(), backward)?;
        self.step_from(&gradients, learning_rate)
    }
}

/// An update rule as a function of a variable's values and its gradient, both of the same length.
struct InPlace<F> {
    name: &'static str,
    rule: RefCell<F>,
}

/// Runs `rule` on the values of `variable` and `gradient`, changing the variable where it lies.
///
/// # Errors
/// When shapes differ, or a tensor is not contiguous f32 on the CPU.
pub(super) fn update_in_place(
    name: &'static str,
    variable: &Var,
    gradient: &Tensor,
    rule: impl FnMut(&mut [f32], &[f32]),
) -> Result<()> {
    if variable.shape() != gradient.shape() {
        let (have, want) = (gradient.shape(), variable.shape());
        let problem = format!("{name}: a gradient of shape {have:?} for a weight of {want:?}");
        return Err(crate::ModelError::BadInput(problem));
    }
    let rule = RefCell::new(rule);
    Ok(variable.inplace_op2(gradient, &InPlace { name, rule })?)
}

impl<F: FnMut(&mut [f32], &[f32])> InplaceOp2 for InPlace<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        variable: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> candle_core::Result<()> {
        let offsets = (
            layout.contiguous_offsets(),
            gradient_layout.contiguous_offsets(),
        );
        match (variable, gradient, offsets) {
            (
                CpuStorage::F32(values),
                CpuStorage::F32(gradient),
                (Some((start, end)), Some((from, to))),
            ) => {
                self.rule.borrow_mut()(&mut values[start..end], &gradient[from..to]);
                Ok(())
            }
            _ => bail!("{}: contiguous f32 tensors only", self.name),
        }
    }
}
