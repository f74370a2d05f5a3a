//! Options that are one of a few words: enums whose variants a user spells, and the choice of retain loss that many methods share.
//! It refuses words that no variant has, and names those that there are.

use harness_abi::Positions;

use crate::{Needs, Role, Step, Teacher, Tensor};

/// Declares an option's type with a word for each value, all documented: users write the words, the method matches on the variants.
///
/// ```
/// # use harness_sdk::prelude::*;
/// choices! {
///     /// How hard to push.
///     pub enum Force {
///         /// A little.
///         Gentle = "gentle",
///         /// Much.
///         Hard = "hard",
///     }
/// }
/// options! {
///     /// A method.
///     pub struct Mine {
///         /// How hard to push.
///         force: Force = Force::Gentle,
///     }
/// }
/// assert_eq!(Mine::describe()[0].choices, ["gentle", "hard"]);
/// ```
#[macro_export]
macro_rules! choices {
    (
        $(#[doc = $summary:literal])+
        $visibility:vis enum $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal ),+ $(,)?
        }
    ) => {
        $(#[doc = $summary])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, $crate::private::serde::Deserialize)]
        #[serde(crate = "harness_sdk::private::serde")]
        $visibility enum $name {
            $( $(#[doc = $doc])+ #[serde(rename = $word)] $variant, )+
        }

        impl ::core::convert::From<$name> for $crate::private::serde_json::Value {
            fn from(choice: $name) -> Self {
                match choice { $( $name::$variant => $word.into(), )+ }
            }
        }

        impl $crate::OptionValue for $name {
            const KIND: &'static str = "string";
            const CHOICES: &'static [&'static str] = &[$($word),+];
        }
    };
}

choices! {
    /// What holds the retain set.
    pub enum RetainLoss {
        /// Negative log-likelihood of the retain answers.
        Nll = "nll",
        /// Divergence from the original at every position of the retain batch.
        Kl = "kl",
    }
}

impl RetainLoss {
    /// What a method with this choice must declare.
    pub const NEEDS: Needs = Needs::RETAIN
        .and(Needs::REFERENCE)
        .and(Needs::EVERY_POSITION);

    /// The loss of the retain batch: a scalar, in nats a token or a position.
    pub fn of(self, step: &Step) -> Tensor {
        match self {
            Self::Nll => step.nll(Role::Retain),
            Self::Kl => step
                .divergence(Role::Retain, Positions::Every, Teacher::reference())
                .mean(),
        }
    }
}
