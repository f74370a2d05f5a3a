//! What every method must pass: runs a library on small models and compares it with recordings of other implementations.
//!
//! It refuses to print and to train: [`check`] tells its caller what is asked and what was found. A library that crashes takes the process
//! with it, so callers that must survive run this in a child process, and know from the last question what it died of.

mod cases;
mod comparison;
mod contract;
mod recording;
mod trajectory;

use std::path::{Path, PathBuf};

use harness_host::{HostError, LoadedMethod};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use cases::{method_ids, models_beside};

/// What one question came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was asked.
    pub question: String,
    /// What was found.
    pub answer: Answer,
}

/// Whether a method passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It did; with what was measured.
    Passed(String),
    /// It did not, and why.
    Failed(String),
    /// It was not asked, and why.
    Skipped(String),
}

impl Finding {
    /// Whether the method failed here.
    pub fn is_failure(&self) -> bool {
        matches!(self.answer, Answer::Failed(_))
    }
}

/// A check in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A question that the library will be put to now.
    Asking(String),
    /// What came of it.
    Found(Finding),
}

/// Puts questions and passes on the answers.
struct Asked<'a> {
    hear: &'a mut dyn FnMut(Event),
}

impl Asked<'_> {
    fn ask(
        &mut self,
        question: impl Into<String>,
        answer: impl FnOnce() -> Result<String, String>,
    ) {
        let question = question.into();
        (self.hear)(Event::Asking(question.clone()));
        let answer = answer().map_or_else(Answer::Failed, Answer::Passed);
        (self.hear)(Event::Found(Finding { question, answer }));
    }

    fn skip(&mut self, question: &str, why: String) {
        let (question, answer) = (question.to_owned(), Answer::Skipped(why));
        (self.hear)(Event::Found(Finding { question, answer }));
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

/// Runs all checks on the library at `path`, whose method gets `settings` (`name=value`) where it is run on the tiny model. A library that
/// is no method is a finding like others.
///
/// # Errors
/// When there is no such file, or a setting is refused.
pub fn check(
    path: &Path,
    settings: &[String],
    recordings: Option<&Recordings>,
    hear: &mut dyn FnMut(Event),
) -> Result<(), HostError> {
    let mut asked = Asked { hear };
    let mut opened = None;
    if !path.is_file() {
        return LoadedMethod::open(path).map(drop);
    }
    asked.ask("the library loads and describes itself", || {
        let method = LoadedMethod::open(path).map_err(text)?;
        let (major, minor) = method.abi_version();
        let description = method.description();
        let found = format!(
            "{} {}, ABI {major}.{minor}",
            description.id, description.version
        );
        opened = Some(method);
        Ok(found)
    });
    let Some(method) = opened else { return Ok(()) };
    let options = method.description().parse_settings(settings)?;
    contract::check(&method, &options, &mut asked);
    if let Some(recordings) = recordings {
        cases::check(&method, recordings, &mut asked);
    }
    Ok(())
}

/// A recorded or computed number.
fn number(value: &Value) -> Result<f64, String> {
    value
        .as_f64()
        .ok_or_else(|| format!("{value} is no number"))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
