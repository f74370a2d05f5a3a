//! Finds method libraries, checks them, and serves their calls with candle tensors during a training step.
//!
//! It refuses to train and to trust: the caller owns model and optimiser, and whatever a library hands over is checked before it is used.
//! It cannot contain a crash: a library that aborts takes the process with it, so callers that must survive load methods in a child process.
//!
//! ```no_run
//! # fn step(source: &dyn harness_host::StepSource) -> Result<(), harness_host::HostError> {
//! use harness_host::MethodPath;
//!
//! let method = MethodPath::new(vec!["target/release".into()]).open("npo")?;
//! let options = method.description().parse_settings(&["beta=0.2"])?;
//! let instance = method.create(&options)?;
//! let step = instance.loss(source)?;
//! println!("{}", step.value);
//! # Ok(())
//! # }
//! ```

mod callback;
mod compute;
mod description;
mod error;
mod fault;
mod instance;
mod library;
mod parameter_set;
mod random;
mod schema;
mod search;
mod slots;
mod source;
mod step;
mod text;
mod training;
mod training_run;

pub use description::{MethodDescription, Need, OptionDescription, OptionType};
pub use error::HostError;
pub use harness_abi::{Level, Measure, Positions, Progress, Role};
pub use instance::{MethodInstance, StepLoss, Trained};
pub use library::{LoadedMethod, Tier};
pub use search::MethodPath;
pub use source::{MeasureRequest, Model, StepSource};
pub use training_run::{AdapterHalf, FinishedStep, ParameterMap, ParameterOptimizer, TrainingRun};
