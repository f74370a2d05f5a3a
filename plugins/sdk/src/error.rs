//! What a method answers when it cannot go on. It refuses structure: the text goes to the user as it is, under the method's name.

use std::fmt;

/// Result of a method's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a method refused its options or gave up a step: one sentence for the user that names the thing, the cause and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
