//! The filter `regex`: a pattern's match out of a response; refuses patterns that Python's `re` refuses.

use harness_metric::PythonRegex;
use serde_json::Value;

use super::arguments::Arguments;
use crate::template::strip;

/// The pattern of a filter that names none.
const DEFAULT_PATTERN: &str = r"#### (\-?[0-9\.\,]+)";

/// What a filter gives where nothing matches.
const DEFAULT_FALLBACK: &str = "[invalid]";

/// A compiled `regex` filter.
pub(crate) struct RegexFilter {
    pattern: PythonRegex,
    group_select: i64,
    pub(super) fallback: String,
}

/// What a search gave.
pub(super) enum Found<'t> {
    Nothing,
    /// A match all of whose groups are empty.
    Empty,
    Match(&'t str),
}

impl RegexFilter {
    pub(super) fn compile(arguments: &mut Arguments<'_>) -> Result<Self, String> {
        let pattern = arguments.text("regex_pattern", DEFAULT_PATTERN)?;
        Ok(Self {
            pattern: compile(&pattern)?,
            group_select: arguments.integer("group_select")?,
            fallback: arguments.text("fallback", DEFAULT_FALLBACK)?,
        })
    }

    /// The match, stripped, or the fallback. A response that is no text counts as empty text.
    pub(super) fn extract(&self, response: &Value) -> Result<Value, String> {
        let found = self.search(&self.pattern, response.as_str().unwrap_or_default())?;
        Ok(match found {
            Found::Match(text) => strip(text).into(),
            // Upstream strips the fallback only where a match is empty.
            Found::Empty => strip(&self.fallback).into(),
            Found::Nothing => self.fallback.clone().into(),
        })
    }

    /// The filter's own pattern in a text.
    pub(super) fn search_own<'t>(&self, text: &'t str) -> Result<Found<'t>, String> {
        self.search(&self.pattern, text)
    }

    /// The match that `group_select` chooses (from the end, where it is negative), of several groups the first that is
    /// not empty.
    pub(super) fn search<'t>(
        &self,
        pattern: &PythonRegex,
        text: &'t str,
    ) -> Result<Found<'t>, String> {
        let matches = pattern.find_all(text).map_err(|error| error.to_string())?;
        if matches.is_empty() {
            return Ok(Found::Nothing);
        }
        let selected = if self.group_select < 0 {
            let from_end = self.group_select.unsigned_abs() as usize;
            let index = matches.len().checked_sub(from_end);
            index.map(|index| &matches[index])
        } else {
            matches.get(self.group_select as usize)
        };
        let Some(groups) = selected else {
            return Err(format!(
                "regex: match {} is selected, but there are only {}",
                self.group_select,
                matches.len()
            ));
        };
        Ok(match groups.as_slice() {
            [only] => Found::Match(only),
            groups => groups
                .iter()
                .find(|group| !group.is_empty())
                .map_or(Found::Empty, |group| Found::Match(group)),
        })
    }
}

pub(super) fn compile(pattern: &str) -> Result<PythonRegex, String> {
    PythonRegex::new(pattern).map_err(|error| error.to_string())
}
