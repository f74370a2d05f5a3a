//! What every method must pass: runs a library on small models and compares it with recordings of other implementations.
//!
//! It refuses to print and to train: [`check`] returns findings, one a question, and the caller says what becomes of them. A library that
//! crashes takes the process with it, so callers that must survive run this in a child process.

mod cases;
mod contract;
mod recording;

use std::path::{Path, PathBuf};

use harness_host::{HostError, LoadedMethod};
use serde_json::Value;

pub use cases::{method_ids, models_beside};

/// What one question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was asked.
    pub question: String,
    /// What was found.
    pub answer: Answer,
}

/// Whether a method passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It did; with what was measured.
    Passed(String),
    /// It did not, and why.
    Failed(String),
    /// It was not asked, and why.
    Skipped(String),
}

impl Finding {
    fn new(question: impl Into<String>, result: Result<String, String>) -> Self {
        let answer = result.map_or_else(Answer::Failed, Answer::Passed);
        let question = question.into();
        Self { question, answer }
    }

    /// Whether the method failed here.
    pub fn is_failure(&self) -> bool {
        matches!(self.answer, Answer::Failed(_))
    }
}

/// Where recordings are.
#[derive(Clone, Debug)]
pub struct Recordings {
    /// The folder with `llama`, `llama-mem`, `opt` and `opt-mem`.
    pub golden: PathBuf,
    /// The folder with the small models that they were made of.
    pub models: PathBuf,
}

/// Runs all checks on the library at `path`, whose method gets `settings` (`name=value`) where it is run on the tiny model.
///
/// # Errors
/// When the library or a setting is refused.
pub fn check(
    path: &Path,
    settings: &[String],
    recordings: Option<&Recordings>,
) -> Result<Vec<Finding>, HostError> {
    let method = LoadedMethod::open(path)?;
    let options = method.description().parse_settings(settings)?;
    let mut findings = contract::check(&method, &options);
    if let Some(recordings) = recordings {
        findings.extend(cases::check(&method, recordings));
    }
    Ok(findings)
}

/// A recorded or computed number.
fn number(value: &Value) -> Result<f64, String> {
    value
        .as_f64()
        .ok_or_else(|| format!("{value} is no number"))
}
