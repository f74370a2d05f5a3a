//! What can be wrong with tasks: every error names the thing, the place and the way out. Bad input ends here, never in
//! a panic or a score.

use std::path::PathBuf;
use std::sync::Arc;

use harness_data::DataError;
use harness_metric::MetricError;

use crate::yaml::Position;

/// Why a task cannot be found, loaded, asked or scored.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A YAML file breaks the rules of YAML, or a value those of its key.
    #[error("{at}: {message}")]
    Yaml {
        /// Where.
        at: Position,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A key that the format does not have.
    #[error("{at}: unknown key `{key}`{hint}")]
    UnknownKey {
        /// Where.
        at: Position,
        /// The key.
        key: String,
        /// The nearest key, as a clause, or nothing.
        hint: String,
    },
    /// A part of the format that is known but not implemented.
    #[error("{at}: {what} is not supported yet{instead}")]
    Unsupported {
        /// Where.
        at: Position,
        /// The key, or key and value.
        what: String,
        /// What to do instead, as a clause, or nothing.
        instead: &'static str,
    },
    /// A `!function` tag in a task that is to be loaded without a bridge to Python.
    #[error(
        "{at}: task `{task}`: `{key}` needs the Python function `{hook}`, which runs only with --trust-remote-code"
    )]
    PythonHook {
        /// Where.
        at: Position,
        /// The task.
        task: String,
        /// The key whose value it is (part of).
        key: String,
        /// The function as written.
        hook: String,
    },
    /// A Python function that was called, and failed.
    #[error("{at}: task `{task}`: the Python function `{hook}` failed: {message}")]
    HookFailed {
        /// Where it is named.
        at: Position,
        /// The task.
        task: String,
        /// The function as written.
        hook: String,
        /// The bridge's words.
        message: String,
    },
    /// No task, group, tag or file of that name.
    #[error("unknown task `{name}`{hint}; `harness tasks list` shows all")]
    UnknownTask {
        /// The name asked for.
        name: String,
        /// The nearest name, as a clause, or nothing.
        hint: String,
    },
    /// The task exists, but its YAML could not be read when the library was opened.
    #[error("task `{name}` cannot be used: {source}")]
    BrokenTask {
        /// The name asked for.
        name: String,
        /// What was wrong with the file.
        source: Arc<TaskError>,
    },
    /// A group names a member that does not exist, or contains itself.
    #[error("{at}: group `{group}`: {message}")]
    Group {
        /// Where the group is written.
        at: Position,
        /// The group.
        group: String,
        /// What is wrong.
        message: String,
    },
    /// The task's data cannot be read.
    #[error("task `{task}`: {source}")]
    Data {
        /// The task.
        task: String,
        /// Why.
        source: Box<DataError>,
    },
    /// The task's YAML and its data do not fit together.
    #[error("task `{task}`: {message}")]
    Task {
        /// The task.
        task: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A template cannot be compiled, or fails on a document.
    #[error("task `{task}`{}: {key}: {message} in {place}", document.as_ref().map(|d| format!(", document {d}")).unwrap_or_default())]
    Template {
        /// The task.
        task: String,
        /// The key that holds the template.
        key: &'static str,
        /// The document, unless the template is wrong by itself.
        document: Option<String>,
        /// The template engine's words.
        message: String,
        /// The template, or its line that is wrong.
        place: String,
    },
    /// An error that is about a place in a YAML file, and does not know it itself.
    #[error("{at}: {source}")]
    Placed {
        /// Where.
        at: Position,
        /// What is wrong.
        source: Box<TaskError>,
    },
    /// What happens to a made-up answer.
    #[error("{source}; tried with {answer} as the answer")]
    Trial {
        /// The answer, in words.
        answer: &'static str,
        /// What is wrong.
        source: Box<TaskError>,
    },
    /// A document does not give what the task needs.
    #[error("task `{task}`, document {document}: {message}")]
    Document {
        /// The task.
        task: String,
        /// Row number, with the split if it is not the evaluated one.
        document: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A document's responses cannot be scored.
    #[error("task `{task}`, document {doc_id}: {source}")]
    Score {
        /// The task.
        task: String,
        /// Row number.
        doc_id: usize,
        /// Why.
        source: MetricError,
    },
    /// Scores cannot be aggregated.
    #[error("task `{task}`, metric `{metric}`: {source}")]
    Aggregate {
        /// The task.
        task: String,
        /// The metric.
        metric: String,
        /// Why.
        source: MetricError,
    },
}
