//! What can go wrong with a model directory or a model's arithmetic; every message names the file or setting.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The model directory does not exist.
    #[error("no model directory {}{}", path.display(), hint.as_ref().map(|near| format!("; did you mean {}?", near.display())).unwrap_or_default())]
    NoDirectory {
        /// What was asked for.
        path: PathBuf,
        /// A sibling of nearly the same name.
        hint: Option<PathBuf>,
    },
    /// A file of the model directory is missing.
    #[error("{}: no such file; {way_out}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// How to get one.
        way_out: &'static str,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is there but its contents are not what they should be.
    #[error("{}: {problem}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the way out.
        problem: String,
    },
    /// The model asks for something the decoder does not do.
    #[error("{}: {setting} is not supported{}", path.display(), detail)]
    Unsupported {
        /// The config file.
        path: PathBuf,
        /// The setting with its value.
        setting: String,
        /// What is supported, starting with punctuation, or nothing.
        detail: String,
    },
    /// An argument of a call makes no sense for this model.
    #[error("{0}")]
    BadInput(String),
    /// Training went out of bounds.
    #[error("{0}")]
    Diverged(String),
    /// The tensor library failed.
    #[error("{}", first_line(.0))]
    Tensor(#[from] candle_core::Error),
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, ModelError>;

pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_owned();
    move |source| ModelError::Io { path, source }
}

pub(crate) fn bad_file(path: &std::path::Path, problem: impl std::fmt::Display) -> ModelError {
    ModelError::BadFile {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// A tensor error without the backtrace that the environment may ask for.
pub(crate) fn first_line(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
