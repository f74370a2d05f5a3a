//! Why a pattern or its replacement cannot be used; says which one, never where it came from.

/// A pattern that does not compile, a replacement that makes no sense, or a search without end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The pattern is none, or needs what only Python has.
    #[error("regular expression `{pattern}`: {reason}")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pattern would take seconds to compile.
    #[error(
        "regular expression `{start}…`: its {bytes} bytes are too long, more than {most} KiB with every \\b, \\w, \\s and punctuation mark spelt out; write (?:one|two) for what repeats, or use several patterns"
    )]
    TooLong {
        /// Its first characters.
        start: String,
        /// Its length.
        bytes: usize,
        /// Kibibytes that are compiled at most.
        most: usize,
    },
    /// The replacement is none.
    #[error("replacement `{replacement}`: {reason}")]
    Replacement {
        /// As it was written.
        replacement: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The search backtracked too often.
    #[error(
        "regular expression `{pattern}`: gave up after {steps} steps in a text of {bytes} bytes; nested or neighbouring repeats can often be merged"
    )]
    GaveUp {
        /// As it was written.
        pattern: String,
        /// Steps taken.
        steps: usize,
        /// Length of the text searched.
        bytes: usize,
    },
}

impl PatternError {
    pub(super) fn new(pattern: &str, reason: impl Into<String>) -> Self {
        Self::Pattern {
            pattern: pattern.to_owned(),
            reason: reason.into(),
        }
    }
}
