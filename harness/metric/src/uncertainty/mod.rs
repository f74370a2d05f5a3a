//! How sure a comparison of models is: intervals and tests by resampling, corrected for their number, and times that were
//! cut short. It refuses to assume a distribution.

mod bootstrap;
mod holm;
mod survival;

pub use bootstrap::{Bootstrap, Interval, Resample, Sampled, Units};
pub use holm::holm;
pub use survival::{Survival, SurvivalTime};
