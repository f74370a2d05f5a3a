//! What a method is: a loss, or a training loop of its own. It refuses both at once, and data and weights to either.

use crate::{Options, Result, Role, Step, Tensor, Training};

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

/// An unlearning method that owns its loop: it draws batches, takes gradients apart, moves weights, and returns when it is done.
///
/// The implementing type is the method's options, made by [`options!`](crate::options).
pub trait Trainer: Options {
    /// Name on the command line: `a-z 0-9 _`, and the library is called `harness_method_<ID>`.
    const ID: &'static str;

    /// What the harness must have ready besides the forget batch.
    const NEEDS: Needs;

    /// Refuses option values that have the right type but make no sense. Called once, before [`Trainer::train`].
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Trains. The weights that it leaves are the result.
    fn train(&self, run: &Training) -> Result<()>;
}

/// What a method needs besides the forget batch and the model being trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs(u32);

/// The names that the description carries, by bit.
const NAMES: [&str; 6] = [
    "retain",
    "reference",
    "alternate",
    "normal",
    "mismatch",
    "every_position",
];

impl Needs {
    /// Nothing more.
    pub const NONE: Self = Self(0);
    /// A retain batch in every step.
    pub const RETAIN: Self = Self(1);
    /// The frozen original.
    pub const REFERENCE: Self = Self(1 << 1);
    /// The forget prompts with other answers, in every step.
    pub const ALTERNATE: Self = Self(1 << 2);
    /// General prompts with their answers, in every step.
    pub const NORMAL: Self = Self(1 << 3);
    /// The forget prompts with answers to other prompts, in every step: as many as the option `mismatched_answers` says, else one.
    pub const MISMATCH: Self = Self(1 << 4);
    /// Other positions than those that predict answer tokens.
    pub const EVERY_POSITION: Self = Self(1 << 5);

    /// Both these and `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether everything that `other` asks for is among these.
    pub(crate) const fn cover(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What must be declared for batches of a role.
    pub(crate) const fn of_role(role: Role) -> Self {
        match role {
            Role::Forget => Self::NONE,
            Role::Retain => Self::RETAIN,
            Role::Alternate => Self::ALTERNATE,
            Role::Normal => Self::NORMAL,
            Role::Mismatch => Self::MISMATCH,
        }
    }

    /// The names that the description carries.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let named = NAMES.into_iter().enumerate();
        named
            .filter_map(|(bit, name)| (self.0 & (1 << bit) != 0).then_some(name))
            .collect()
    }
}
