//! The tensor operations of the contract. It refuses broadcasting beyond a scalar, which hides shape mistakes.

use crate::host::codes;

codes! {
    /// A differentiable tensor operation. Crosses as its code.
    ///
    /// Operations of two tensors take equal shapes, or a scalar (shape `[]`) on either side. All are elementwise unless they say otherwise.
    Operation {
        /// a + b.
        Add = 0 "add",
        /// a - b.
        Subtract = 1 "subtract",
        /// a * b.
        Multiply = 2 "multiply",
        /// a / b.
        Divide = 3 "divide",
        /// The larger of a and b; a tie shares the gradient equally.
        Maximum = 4 "maximum",
        /// The smaller of a and b; a tie shares the gradient equally.
        Minimum = 5 "minimum",
        /// -a.
        Negate = 6 "negate",
        /// e to the a.
        Exp = 7 "exp",
        /// Natural logarithm.
        Log = 8 "log",
        /// 1 / (1 + e^-a).
        Sigmoid = 9 "sigmoid",
        /// log(1 / (1 + e^-a)), without overflow or cancellation at either end.
        LogSigmoid = 10 "log_sigmoid",
        /// log(1 + e^a), without overflow.
        Softplus = 11 "softplus",
        /// Hyperbolic tangent.
        Tanh = 12 "tanh",
        /// max(a, 0).
        Relu = 13 "relu",
        /// a * a.
        Square = 14 "square",
        /// Square root.
        Sqrt = 15 "sqrt",
        /// a + s for the one scalar parameter s.
        AddScalar = 16 "add_scalar",
        /// a * s for the one scalar parameter s.
        MultiplyScalar = 17 "multiply_scalar",
        /// Sum over all elements, to a scalar.
        Sum = 18 "sum",
        /// Mean over all elements, to a scalar.
        Mean = 19 "mean",
        /// The same values as constants: no gradient flows through.
        Detach = 20 "detach",
        /// Since 1.1. 1 where a > b, else 0: constants.
        Greater = 21 "greater",
    }
}

impl Operation {
    /// How many tensors it takes.
    pub const fn inputs(self) -> usize {
        match self {
            Self::Add
            | Self::Subtract
            | Self::Multiply
            | Self::Divide
            | Self::Maximum
            | Self::Minimum
            | Self::Greater => 2,
            _ => 1,
        }
    }

    /// How many scalar parameters it takes.
    pub const fn scalars(self) -> usize {
        matches!(self, Self::AddScalar | Self::MultiplyScalar) as usize
    }
}
