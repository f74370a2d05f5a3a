//! Poison: what an operation that failed leaves behind, for whatever is computed from it. It refuses to stop the method.

use candle_core::Tensor;

use crate::HostError;

/// Why an operation failed: poison that spreads to everything computed from its result.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    operation: String,
    cause: String,
}

impl Fault {
    pub(crate) fn new(operation: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            cause: cause.into(),
        }
    }

    pub(crate) fn report(self, plugin: String, function: &'static str) -> HostError {
        HostError::Poisoned {
            plugin,
            function,
            operation: self.operation,
            cause: self.cause,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "operation `{}` failed: {}",
            self.operation, self.cause
        )
    }
}

pub(crate) type Computed = Result<Tensor, Fault>;
