//! Which Python answers, and how long and how much it may. Refuses nothing: a Python that is not there is found when it starts.

use std::path::PathBuf;
use std::time::Duration;

/// How Python is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonSettings {
    /// The program, looked for on `PATH` if it is a bare name.
    pub interpreter: PathBuf,
    /// How long one call may take, with the start of the process where it is the first.
    pub time_limit: Duration,
    /// How long one answer may be, in bytes of JSON.
    pub answer_limit: u64,
    /// What Python's global random stream begins with; by the clock where it is `None`. lm-eval's `--seed` has 0 here.
    pub python_seed: Option<u64>,
    /// What the global random stream of `numpy` begins with, where that is installed; lm-eval's `--seed` has 1234 here. It takes
    /// 32 bits.
    pub numpy_seed: Option<u64>,
}

impl Default for PythonSettings {
    fn default() -> Self {
        Self {
            interpreter: PathBuf::from("python3"),
            time_limit: Duration::from_mins(5),
            answer_limit: 1 << 30,
            python_seed: Some(0),
            numpy_seed: Some(1234),
        }
    }
}

impl PythonSettings {
    /// The defaults, with the program that `HARNESS_PYTHON` names, if it names one.
    pub fn from_environment() -> Self {
        let mut settings = Self::default();
        if let Some(named) = std::env::var_os("HARNESS_PYTHON").filter(|name| !name.is_empty()) {
            settings.interpreter = named.into();
        }
        settings
    }
}
