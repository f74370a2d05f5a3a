//! What can go wrong in an experiment, and whether the request or the work was at fault.

use std::path::{Path, PathBuf};

use harness_engine::EngineError;
use harness_host::HostError;
use harness_metric::MetricError;
use harness_model::ModelError;
use harness_task::TaskError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The request makes no sense; nothing was done.
    #[error("{0}")]
    Request(String),
    /// A method's library was refused before it ran.
    #[error("{0}")]
    Method(String),
    /// A method failed while it ran.
    #[error("{message}{}", kept.as_ref().map(|path| format!("; the steps so far are in {}", path.display())).unwrap_or_default())]
    MethodFailed {
        /// Names plugin, function and cause.
        message: String,
        /// Where the log of the steps before is.
        kept: Option<PathBuf>,
    },
    /// Training went out of bounds.
    #[error("{0}")]
    Diverged(String),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A record on disk is not what this version writes.
    #[error("{}: {problem}", path.display())]
    BadRecord {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the way out.
        problem: String,
    },
    /// A task failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Scoring failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A metric has no value.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// The plugin host failed in this process.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Shorthand of this crate.
pub type Result<T, E = BenchError> = std::result::Result<T, E>;

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BenchError {
    let path = path.to_owned();
    move |source| BenchError::Io { path, source }
}
