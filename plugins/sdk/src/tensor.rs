//! Tensors with the operators of the formulas. It refuses `Result` at every operator: a failed operation poisons what is computed from it,
//! and the harness reports the first failure, with its shapes, when the loss is returned.

use std::rc::Rc;

use harness_abi::{Handle, Operation};

use crate::engine::Engine;
use crate::operators::{elementwise, functions};
use crate::{Error, Result};

/// A tensor of the current step, held by the harness. Cloning is free.
///
/// Two tensors combine elementwise when their shapes are equal or one is a scalar; an `f64` combines with any.
#[derive(Clone)]
pub struct Tensor {
    owned: Rc<Owned>,
}

/// Releases the handle with the last clone.
struct Owned {
    engine: Rc<dyn Engine>,
    handle: Handle,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.engine.release(self.handle);
    }
}

elementwise!(Tensor);

functions! { Tensor:
    /// Sum of all elements: a scalar.
    sum = Sum;
    /// Mean of all elements: a scalar.
    mean = Mean;
    /// The same values as constants: no gradient flows through.
    detach = Detach;
}

impl Tensor {
    pub(crate) fn new(engine: Rc<dyn Engine>, handle: Handle) -> Self {
        Self {
            owned: Rc::new(Owned { engine, handle }),
        }
    }

    /// What failed on the way to this tensor, if anything did; for a method that wants to stop before it returns its loss.
    pub fn check(&self) -> Result<()> {
        self.owned.engine.check(self.handle())
    }

    /// The values, row-major, as numbers that a method may keep.
    pub fn values(&self) -> Result<Vec<f64>> {
        self.owned.engine.read(self.handle())
    }

    /// The value of a scalar.
    pub fn value(&self) -> Result<f64> {
        match self.values()?.as_slice() {
            [value] => Ok(*value),
            values => Err(Error::new(format!(
                "expected one value, got {}",
                values.len()
            ))),
        }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.owned.handle
    }

    fn constant(&self, value: f64) -> Self {
        let engine = &self.owned.engine;
        Self::new(Rc::clone(engine), engine.constant(&[value], &[]))
    }

    fn apply(&self, operation: Operation, inputs: &[Handle], scalars: &[f64]) -> Self {
        let engine = &self.owned.engine;
        Self::new(Rc::clone(engine), engine.apply(operation, inputs, scalars))
    }
}
