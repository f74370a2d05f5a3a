//! lm-eval's `exact_match`: equality of texts after what is to be ignored has gone from both; never strips white space.

use crate::{PatternError, PythonRegex};

/// What to ignore, in the order in which it goes: patterns, case, punctuation, digits.
#[derive(Clone, Debug, Default)]
pub struct ExactMatch {
    /// Whatever these match is deleted, one after the other.
    pub regexes_to_ignore: Vec<PythonRegex>,
    /// Compare in lower case.
    pub ignore_case: bool,
    /// Delete ASCII punctuation (Python's `string.punctuation`).
    pub ignore_punctuation: bool,
    /// Delete the ASCII digits.
    pub ignore_numbers: bool,
}

impl ExactMatch {
    /// Whether prediction and reference are the same but for what is ignored.
    ///
    /// # Errors
    /// Where a pattern's search is given up.
    pub fn matches(&self, reference: &str, prediction: &str) -> Result<bool, PatternError> {
        Ok(self.reduced(reference)? == self.reduced(prediction)?)
    }

    fn reduced(&self, text: &str) -> Result<String, PatternError> {
        let mut text = text.to_owned();
        for regex in &self.regexes_to_ignore {
            text = regex.sub("", &text, 0)?;
        }
        if self.ignore_case {
            // Upstream lowers in an array of fixed width: the one letter that gets longer (U+0130) pushes the end out.
            let width = text.chars().count();
            text = text.to_lowercase().chars().take(width).collect();
        }
        if self.ignore_punctuation {
            text.retain(|character| !character.is_ascii_punctuation());
        }
        if self.ignore_numbers {
            text.retain(|character| !character.is_ascii_digit());
        }
        Ok(text)
    }
}
