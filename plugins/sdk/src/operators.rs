//! The elementwise functions and operators that tensors and parameter sets share. It refuses to know what either is: a type brings
//! `handle`, `apply` and `constant`.

/// Defines functions of one operand.
macro_rules! functions {
    ($type:ident: $($(#[$doc:meta])* $function:ident = $operation:ident;)*) => {
        impl $type {$(
            $(#[$doc])*
            #[must_use]
            pub fn $function(&self) -> Self {
                self.apply(Operation::$operation, &[self.handle()], &[])
            }
        )*}
    };
}

/// Defines the elementwise functions, and the operators for every mix of owned and borrowed operands and with `f64` on either side.
macro_rules! elementwise {
    ($type:ident) => {
        $crate::operators::functions! { $type:
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
        }

        impl $type {
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

            /// 1 where this is greater than `other`, else 0: a mask. No gradient flows through.
            #[must_use]
            pub fn greater(&self, other: &Self) -> Self {
                self.combine(Operation::Greater, other)
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
        }

        $crate::operators::operator!($type, Add, add, Add, $type::shift, $type::shift);
        $crate::operators::operator!(
            $type,
            Sub,
            sub,
            Subtract,
            |operand, number| operand.shift(-number),
            |operand, number| operand.scale(-1.0).shift(number)
        );
        $crate::operators::operator!($type, Mul, mul, Multiply, $type::scale, $type::scale);
        $crate::operators::operator!(
            $type,
            Div,
            div,
            Divide,
            |operand, number| operand.combine(Operation::Divide, &operand.constant(number)),
            |operand, number| operand.constant(number).combine(Operation::Divide, operand)
        );

        impl std::ops::Neg for &$type {
            type Output = $type;

            fn neg(self) -> $type {
                self.apply(Operation::Negate, &[self.handle()], &[])
            }
        }

        impl std::ops::Neg for $type {
            type Output = $type;

            fn neg(self) -> $type {
                -&self
            }
        }
    };
}

macro_rules! operator {
    ($type:ident, $trait:ident, $function:ident, $operation:ident, $with_number:expr, $number_first:expr) => {
        $crate::operators::operator!(@operands $type, $trait, $function, $operation, $type, $type);
        $crate::operators::operator!(@operands $type, $trait, $function, $operation, $type, &$type);
        $crate::operators::operator!(@operands $type, $trait, $function, $operation, &$type, $type);
        $crate::operators::operator!(@operands $type, $trait, $function, $operation, &$type, &$type);
        $crate::operators::operator!(@number $type, $trait, $function, $type, $with_number, $number_first);
        $crate::operators::operator!(@number $type, $trait, $function, &$type, $with_number, $number_first);
    };
    (@operands $type:ident, $trait:ident, $function:ident, $operation:ident, $left:ty, $right:ty) => {
        impl std::ops::$trait<$right> for $left {
            type Output = $type;

            fn $function(self, other: $right) -> $type {
                $type::combine(&self, Operation::$operation, &other)
            }
        }
    };
    (@number $type:ident, $trait:ident, $function:ident, $operand:ty, $with_number:expr, $number_first:expr) => {
        impl std::ops::$trait<f64> for $operand {
            type Output = $type;

            fn $function(self, number: f64) -> $type {
                let apply: fn(&$type, f64) -> $type = $with_number;
                apply(&self, number)
            }
        }

        impl std::ops::$trait<$operand> for f64 {
            type Output = $type;

            fn $function(self, operand: $operand) -> $type {
                let apply: fn(&$type, f64) -> $type = $number_first;
                apply(&operand, self)
            }
        }
    };
}

pub(crate) use {elementwise, functions, operator};
