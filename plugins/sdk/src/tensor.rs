//! Tensors with the operators of the formulas. It refuses `Result` at every operator: a failed operation poisons what is computed from it,
//! and the harness reports the first failure, with its shapes, when the loss is returned.

use std::ops::{Add, Div, Mul, Neg, Sub};
use std::rc::Rc;

use harness_abi::{Handle, Operation};

use crate::engine::Engine;
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

/// Defines elementwise functions of one tensor.
macro_rules! functions {
    ($($(#[$doc:meta])* $function:ident = $operation:ident;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            #[must_use]
            pub fn $function(&self) -> Self {
                self.apply(Operation::$operation, &[self.handle()], &[])
            }
        )*}
    };
}

functions! {
    /// e to the power of each element.
    exp = Exp;
    /// Natural logarithm of each element.
    log = Log;
    /// 1 / (1 + e^-x) of each element.
    sigmoid = Sigmoid;
    /// log σ(x) of each element, exact at both ends.
    log_sigmoid = LogSigmoid;
    /// log(1 + e^x) of each element.
    softplus = Softplus;
    /// Hyperbolic tangent of each element.
    tanh = Tanh;
    /// max(x, 0) of each element.
    relu = Relu;
    /// x² of each element.
    square = Square;
    /// √x of each element.
    sqrt = Sqrt;
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

    /// The larger of the two, elementwise.
    #[must_use]
    pub fn maximum(&self, other: &Self) -> Self {
        self.combine(Operation::Maximum, other)
    }

    /// The smaller of the two, elementwise.
    #[must_use]
    pub fn minimum(&self, other: &Self) -> Self {
        self.combine(Operation::Minimum, other)
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

    fn combine(&self, operation: Operation, other: &Self) -> Self {
        self.apply(operation, &[self.handle(), other.handle()], &[])
    }

    fn scale(&self, factor: f64) -> Self {
        self.apply(Operation::MultiplyScalar, &[self.handle()], &[factor])
    }

    fn shift(&self, amount: f64) -> Self {
        self.apply(Operation::AddScalar, &[self.handle()], &[amount])
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

/// An operator for every mix of owned and borrowed tensors, and with `f64` on either side.
macro_rules! operator {
    ($trait:ident, $function:ident, $operation:ident, $with_number:expr, $number_first:expr) => {
        operator!(@tensors $trait, $function, $operation, Tensor, Tensor);
        operator!(@tensors $trait, $function, $operation, Tensor, &Tensor);
        operator!(@tensors $trait, $function, $operation, &Tensor, Tensor);
        operator!(@tensors $trait, $function, $operation, &Tensor, &Tensor);
        operator!(@number $trait, $function, Tensor, $with_number, $number_first);
        operator!(@number $trait, $function, &Tensor, $with_number, $number_first);
    };
    (@tensors $trait:ident, $function:ident, $operation:ident, $left:ty, $right:ty) => {
        impl $trait<$right> for $left {
            type Output = Tensor;

            fn $function(self, other: $right) -> Tensor {
                Tensor::combine(&self, Operation::$operation, &other)
            }
        }
    };
    (@number $trait:ident, $function:ident, $tensor:ty, $with_number:expr, $number_first:expr) => {
        impl $trait<f64> for $tensor {
            type Output = Tensor;

            fn $function(self, number: f64) -> Tensor {
                let apply: fn(&Tensor, f64) -> Tensor = $with_number;
                apply(&self, number)
            }
        }

        impl $trait<$tensor> for f64 {
            type Output = Tensor;

            fn $function(self, tensor: $tensor) -> Tensor {
                let apply: fn(&Tensor, f64) -> Tensor = $number_first;
                apply(&tensor, self)
            }
        }
    };
}

operator!(Add, add, Add, Tensor::shift, Tensor::shift);
operator!(
    Sub,
    sub,
    Subtract,
    |tensor, number| tensor.shift(-number),
    |tensor, number| tensor.scale(-1.0).shift(number)
);
operator!(Mul, mul, Multiply, Tensor::scale, Tensor::scale);
operator!(
    Div,
    div,
    Divide,
    |tensor, number| tensor.combine(Operation::Divide, &tensor.constant(number)),
    |tensor, number| tensor.constant(number).combine(Operation::Divide, tensor)
);

impl Neg for &Tensor {
    type Output = Tensor;

    fn neg(self) -> Tensor {
        self.apply(Operation::Negate, &[self.handle()], &[])
    }
}

impl Neg for Tensor {
    type Output = Tensor;

    fn neg(self) -> Tensor {
        -&self
    }
}
