//! Why a call of a Python function has no answer; always with what Python wrote to stderr meanwhile. Refuses to be silent.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PythonError {
    /// No process.
    #[error(
        "`{}` cannot be started: {source}; install Python 3, or set HARNESS_PYTHON to one",
        interpreter.display()
    )]
    Start {
        interpreter: PathBuf,
        source: io::Error,
    },
    /// The driver cannot be put on disk.
    #[error("the files that Python runs cannot be written: {0}")]
    Files(#[source] io::Error),
    /// The call cannot be written as JSON.
    #[error("the call cannot be sent to Python: {0}")]
    Call(#[source] serde_json::Error),
    /// The function's own failure.
    #[error("{message}{written}")]
    Function { message: String, written: Written },
    /// The process is gone.
    #[error("Python ended while it ran ({status}){written}")]
    Ended {
        status: ExitStatus,
        written: Written,
    },
    /// The process was killed.
    #[error("it took longer than {seconds} s, and was stopped{written}")]
    TimedOut { seconds: f64, written: Written },
    /// The process was killed.
    #[error("its answer is longer than {limit} bytes{written}")]
    TooLong { limit: u64, written: Written },
    /// Something else than the driver answered.
    #[error("Python answered in no form that is understood ({source}): {answer:?}{written}")]
    Answer {
        source: serde_json::Error,
        answer: String,
        written: Written,
    },
    /// The pipe from the process failed.
    #[error("Python's answer cannot be read: {source}{written}")]
    Read { source: io::Error, written: Written },
}

/// The last lines of stderr; nothing where there are none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written(pub(crate) Vec<String>);

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "; on stderr:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
