//! Parameter sets with the operators of the formulas: gradients, snapshots, masks, moments. It refuses to show single numbers.

use std::rc::Rc;

use harness_abi::{Handle, Operation};

use crate::Result;
use crate::engine::Loop;
use crate::operators::elementwise;

/// One tensor for each trainable parameter, held by the harness; cloning is free, and the memory goes with the last clone.
///
/// Two sets combine elementwise, an `f64` combines with any. As with tensors a failed operation poisons what is computed from it.
/// A set lasts as long as the training, whatever batch is drawn.
#[derive(Clone)]
pub struct ParameterSet {
    owned: Rc<Owned>,
}

/// Releases the handle with the last clone.
struct Owned {
    run: Rc<dyn Loop>,
    handle: Handle,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.run.release(self.handle);
    }
}

elementwise!(ParameterSet);

impl ParameterSet {
    pub(crate) fn new(run: Rc<dyn Loop>, handle: Handle) -> Self {
        Self {
            owned: Rc::new(Owned { run, handle }),
        }
    }

    /// Sum over all elements of this times `other`, in 64 bits.
    pub fn dot(&self, other: &Self) -> Result<f64> {
        self.owned.run.dot(self.handle(), other.handle())
    }

    /// Joint L2 norm of all elements.
    pub fn norm(&self) -> Result<f64> {
        Ok(self.dot(self)?.sqrt())
    }

    /// What is left of this when its part along `other` is taken off: orthogonal to `other`.
    pub fn without_component_along(&self, other: &Self) -> Result<Self> {
        let square = other.dot(other)?;
        if square == 0.0 {
            return Ok(self.clone());
        }
        Ok(self - other * (self.dot(other)? / square))
    }

    /// The value below which the share `share`, from 0 to 1, of all elements lies.
    pub fn quantile(&self, share: f64) -> Result<f64> {
        self.owned.run.quantile(self.handle(), share)
    }

    /// 1 where an element is above `threshold`, else 0.
    #[must_use]
    pub fn above(&self, threshold: f64) -> Self {
        self.greater(&self.constant(threshold))
    }

    /// What failed on the way to this set, if anything did.
    pub fn check(&self) -> Result<()> {
        self.owned.run.check(self.handle())
    }

    pub(crate) fn handle(&self) -> Handle {
        self.owned.handle
    }

    fn constant(&self, value: f64) -> Self {
        let run = &self.owned.run;
        Self::new(Rc::clone(run), run.select(".*")) * value
    }

    fn apply(&self, operation: Operation, sets: &[Handle], scalars: &[f64]) -> Self {
        let run = &self.owned.run;
        Self::new(Rc::clone(run), run.combine(operation, sets, scalars))
    }
}
