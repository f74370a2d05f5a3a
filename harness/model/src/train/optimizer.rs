//! What every optimiser shares: one step from summed gradients, with clipping. No update rules.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor, Var, bail};

use super::gradients::{GradientSet, clipping_factor};
use crate::error::Result;

/// Elements that one thread updates at a time.
pub(super) const ELEMENTS_PER_TASK: usize = 64 * 1024;

/// What an optimiser keeps of a variable from step to step, in the variable's shape.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a> {
    /// On the CPU, with the shape.
    Values(&'a [f32], &'a [usize]),
    /// On another device.
    Tensor(&'a Tensor),
}

/// An optimiser over named variables.
pub trait Optimizer {
    /// What is optimised.
    fn variables(&self) -> &BTreeMap<String, Var>;

    /// Gradients are scaled down to this joint L2 norm if they exceed it.
    fn max_gradient_norm(&self) -> Option<f64>;

    /// Applies the rule to every variable with a gradient, taking each gradient times `gradient_scale`.
    ///
    /// # Errors
    /// When a variable is not contiguous f32.
    fn update(
        &mut self,
        gradients: &GradientSet,
        gradient_scale: f64,
        learning_rate: f64,
    ) -> Result<()>;

    /// What is kept of every variable: the names of its parts.
    fn kept_parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// What is kept, called `<part>/<variable>`.
    fn kept(&self) -> Vec<(String, Kept<'_>)> {
        Vec::new()
    }

    /// Takes back what was kept of all variables after `steps` steps.
    ///
    /// # Errors
    /// When something is missing.
    fn restore(&mut self, _kept: &BTreeMap<String, Tensor>, _steps: usize) -> Result<()> {
        Ok(())
    }

    /// One clipped update; variables without a gradient are left alone. Returns the joint L2 norm of the gradients before
    /// clipping.
    ///
    /// # Errors
    /// When a gradient is not finite or of another shape than its variable (nothing is changed then), or as [`Self::update`].
    fn step(&mut self, gradients: &GradientSet, learning_rate: f64) -> Result<f64> {
        gradients.require_fit(self.variables())?;
        let norm = gradients.norm()?;
        let clip = self.max_gradient_norm();
        let scale = clip.map_or(1.0, |max_norm| clipping_factor(norm, max_norm));
        self.update(gradients, scale, learning_rate)?;
        Ok(norm)
    }
}

/// An update rule as a function of a variable's values.
struct InPlace<F> {
    name: &'static str,
    rule: RefCell<F>,
}

/// Runs `rule` on the values of `variable`, changing them where they lie.
///
/// # Errors
/// When the variable is not contiguous f32 on the CPU.
pub(super) fn update_in_place(
    name: &'static str,
    variable: &Var,
    rule: impl FnMut(&mut [f32]),
) -> Result<()> {
    let rule = RefCell::new(rule);
    Ok(variable.inplace_op1(&InPlace { name, rule })?)
}

impl<F: FnMut(&mut [f32])> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, variable: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        match (variable, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((start, end))) => {
                self.rule.borrow_mut()(&mut values[start..end]);
                Ok(())
            }
            _ => bail!("{}: contiguous f32 tensors only", self.name),
        }
    }
}
