//! Numbers that carry their derivatives: forward-mode differentiation. It refuses shapes: an element at a time.

use std::cmp::Ordering;

use harness_abi::Operation;

/// A value and its derivative by each variable; variables beyond the vector's end have derivative 0.
#[derive(Clone, Debug)]
pub(super) struct Dual {
    pub(super) value: f64,
    derivatives: Vec<f64>,
}

impl Dual {
    pub(super) fn constant(value: f64) -> Self {
        Self {
            value,
            derivatives: vec![],
        }
    }

    /// The variable number `index`.
    pub(super) fn variable(value: f64, index: usize) -> Self {
        let mut derivatives = vec![0.0; index + 1];
        derivatives[index] = 1.0;
        Self { value, derivatives }
    }

    pub(super) fn derivative(&self, variable: usize) -> f64 {
        self.derivatives.get(variable).copied().unwrap_or(0.0)
    }

    pub(super) fn scale(&self, factor: f64) -> Self {
        self.map(self.value * factor, factor)
    }

    /// An elementwise operation of one tensor.
    pub(super) fn unary(&self, operation: Operation, scalar: Option<f64>) -> Self {
        let (x, s) = (self.value, scalar.unwrap_or(f64::NAN));
        let (value, slope) = match operation {
            Operation::Negate => (-x, -1.0),
            Operation::Exp => (x.exp(), x.exp()),
            Operation::Log => (x.ln(), 1.0 / x),
            Operation::Sigmoid => (sigmoid(x), sigmoid(x) * sigmoid(-x)),
            Operation::LogSigmoid => (-softplus(-x), sigmoid(-x)),
            Operation::Softplus => (softplus(x), sigmoid(x)),
            Operation::Tanh => (x.tanh(), 1.0 - x.tanh().powi(2)),
            Operation::Relu => (x.max(0.0), f64::from(x > 0.0)),
            Operation::Square => (x * x, 2.0 * x),
            Operation::Sqrt => (x.sqrt(), 0.5 / x.sqrt()),
            Operation::AddScalar => (x + s, 1.0),
            Operation::MultiplyScalar => (x * s, s),
            Operation::Detach => return Self::constant(x),
            // Not of one element: NaN is refused when it reaches the loss.
            _ => (f64::NAN, f64::NAN),
        };
        self.map(value, slope)
    }

    /// An elementwise operation of two tensors.
    pub(super) fn binary(&self, operation: Operation, other: &Self) -> Self {
        let (x, y) = (self.value, other.value);
        let larger = match x.partial_cmp(&y) {
            Some(Ordering::Greater) => 1.0,
            Some(Ordering::Less) => 0.0,
            _ => 0.5,
        };
        let (value, by_x, by_y) = match operation {
            Operation::Add => (x + y, 1.0, 1.0),
            Operation::Subtract => (x - y, 1.0, -1.0),
            Operation::Multiply => (x * y, y, x),
            Operation::Divide => (x / y, 1.0 / y, -x / (y * y)),
            Operation::Maximum => (x.max(y), larger, 1.0 - larger),
            Operation::Minimum => (x.min(y), 1.0 - larger, larger),
            Operation::Greater => (f64::from(x > y), 0.0, 0.0),
            // Not of two elements: NaN is refused when it reaches the loss.
            _ => (f64::NAN, f64::NAN, f64::NAN),
        };
        let variables = self.derivatives.len().max(other.derivatives.len());
        let derivatives =
            (0..variables).map(|v| by_x * self.derivative(v) + by_y * other.derivative(v));
        Self {
            value,
            derivatives: derivatives.collect(),
        }
    }

    fn map(&self, value: f64, slope: f64) -> Self {
        Self {
            value,
            derivatives: self.derivatives.iter().map(|d| d * slope).collect(),
        }
    }
}

pub(super) fn sum(elements: &[Dual]) -> Dual {
    let zero = Dual::constant(0.0);
    elements
        .iter()
        .fold(zero, |total, element| total.binary(Operation::Add, element))
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        x.exp() / (1.0 + x.exp())
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
