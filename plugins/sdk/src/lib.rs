//! What the author of an unlearning method writes against: a method is an options struct and one function, which returns a loss
//! ([`Method`]) or trains in a loop of its own ([`Trainer`]).
//!
//! It refuses to run a model or to touch weights: a method sees log-probabilities and sets of parameters as a whole, the harness does the rest.
//!
//! ```
//! #![forbid(unsafe_code)]
//! use harness_sdk::prelude::*;
//!
//! options! {
//!     /// Gradient ascent on the forget set, with a brake.
//!     pub struct Ascent {
//!         /// Weight of the forget loss.
//!         gamma: f64 = 1.0,
//!     }
//! }
//!
//! impl Method for Ascent {
//!     const ID: &'static str = "ascent";
//!     const NEEDS: Needs = Needs::NONE;
//!
//!     fn loss(&self, step: &Step) -> Result<Tensor> {
//!         Ok(-self.gamma * step.nll(Forget))
//!     }
//! }
//!
//! export_method!(Ascent);
//!
//! let rig = TestRig::new().policy(Forget, &[&[-1.0, -3.0]]);
//! let outcome = rig.run(&Ascent::default()).unwrap();
//! assert_eq!(outcome.loss, -2.0);
//! assert_eq!(outcome.gradient(Forget), [0.5, 0.5]);
//! ```

// The macros name this crate as their users do.
extern crate self as harness_sdk;

mod choice;
mod engine;
mod error;
#[doc(hidden)]
pub mod export;
mod host_engine;
mod host_loop;
mod method;
mod operators;
mod options;
mod parameter_set;
mod rig;
mod step;
mod tensor;
mod training;

pub use choice::RetainLoss;
pub use error::{Error, Result};
pub use harness_abi as abi;
pub use harness_abi::{Positions, Role};
pub use method::{Method, Needs, Trainer};
pub use options::{OptionDescription, OptionValue, Options};
pub use parameter_set::ParameterSet;
pub use rig::{LogitRow, Outcome, TestRig};
pub use step::{Step, Teacher};
pub use tensor::Tensor;
pub use training::{Optimizer, SecondModel, Training};

/// Everything a method's file needs, in one `use`.
pub mod prelude {
    pub use crate::Role::{self, Alternate, Forget, Mismatch, Normal, Retain};
    pub use crate::{
        Error, LogitRow, Method, Needs, Optimizer, Options as _, ParameterSet, Positions, Result,
        RetainLoss, SecondModel, Step, Teacher, Tensor, TestRig, Trainer, Training, choices,
        export_method, export_trainer, options,
    };
}

#[doc(hidden)]
pub mod private {
    pub use {serde, serde_json};
}
