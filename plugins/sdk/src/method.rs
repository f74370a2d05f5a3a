//! What a method is. It refuses training loops: the harness owns the optimiser, the schedule and the data.

use crate::{Options, Result, Step, Tensor};

/// An unlearning method that is a loss: the harness minimises what [`Method::loss`] returns.
///
/// The implementing type is the method's options, made by [`options!`](crate::options); it may keep state from step to step in cells.
pub trait Method: Options {
    /// Name on the command line: `a-z 0-9 _`, and the library is called `harness_method_<ID>`.
    const ID: &'static str;

    /// What the harness must have ready besides the forget batch.
    const NEEDS: Needs;

    /// Refuses option values that have the right type but make no sense, such as a temperature of 0. Called once, before the first step.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The loss of one step: a differentiable scalar.
    fn loss(&self, step: &Step) -> Result<Tensor>;
}

/// What a method needs besides the forget batch and the model being trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    retain: bool,
    reference: bool,
}

impl Needs {
    /// Nothing more.
    pub const NONE: Self = Self {
        retain: false,
        reference: false,
    };
    /// A retain batch in every step.
    pub const RETAIN: Self = Self {
        retain: true,
        ..Self::NONE
    };
    /// The frozen original model's log-probabilities.
    pub const REFERENCE: Self = Self {
        reference: true,
        ..Self::NONE
    };

    /// Both these and `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            retain: self.retain || other.retain,
            reference: self.reference || other.reference,
        }
    }

    /// Whether everything that `other` asks for is among these.
    pub(crate) const fn cover(self, other: Self) -> bool {
        (self.retain || !other.retain) && (self.reference || !other.reference)
    }

    /// The names that the description carries.
    pub(crate) fn names(self) -> Vec<&'static str> {
        [(self.retain, "retain"), (self.reference, "reference")]
            .into_iter()
            .filter_map(|(needed, name)| needed.then_some(name))
            .collect()
    }
}
