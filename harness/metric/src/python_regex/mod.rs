//! Python's `re` on fancy-regex: the same matches, groups and replacements; refuses what Python refuses, named characters
//! (`\N{…}`), and searches that backtrack without end.

mod character;
mod class;
mod error;
mod replacement;
mod translate;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use fancy_regex::{Captures, Regex, RegexBuilder};

pub use error::PatternError;
use replacement::Replacement;
use translate::{Translation, translate};

/// Steps after which a search is given up; Python would go on, for years if need be.
const BACKTRACK_LIMIT: usize = 10_000_000;

/// A compiled pattern of Python's `re`, without flags other than those inside it.
#[derive(Clone, Debug)]
pub struct PythonRegex {
    pattern: String,
    translated: String,
    names: BTreeMap<String, usize>,
    regex: Regex,
    /// Finds only what is not empty at the start of the search. Python asks for that after an empty match.
    advancing: OnceLock<Regex>,
}

impl PythonRegex {
    /// `re.compile(pattern)`.
    ///
    /// # Errors
    /// On patterns that Python refuses, and on the few that only Python knows.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let Translation {
            pattern: translated,
            names,
        } = translate(pattern)?;
        Ok(Self {
            pattern: pattern.to_owned(),
            regex: compile(pattern, &translated)?,
            translated,
            names,
            advancing: OnceLock::new(),
        })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Number of groups.
    pub fn group_count(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// `re.findall`: one entry a match, of the groups' texts (empty for a group that took no part), or of the whole match
    /// for a pattern without groups. So entries of one text are Python's strings, longer ones its tuples.
    ///
    /// # Errors
    /// Where the search is given up.
    pub fn find_all<'t>(&self, text: &'t str) -> Result<Vec<Vec<&'t str>>, PatternError> {
        let groups = match self.group_count() {
            0 => 0..1,
            count => 1..count + 1,
        };
        let mut found = Vec::new();
        self.for_each_match(text, usize::MAX, |captures| {
            let texts = groups
                .clone()
                .map(|group| captures.get(group).map_or("", |part| part.as_str()));
            found.push(texts.collect());
        })?;
        Ok(found)
    }

    /// `re.sub(pattern, replacement, text, count)`, where `count` 0 stands for all. The replacement may use `\1`,
    /// `\g<1>`, `\g<name>` and Python's escapes.
    ///
    /// # Errors
    /// On a replacement that Python refuses, and where the search is given up.
    pub fn sub(&self, replacement: &str, text: &str, count: usize) -> Result<String, PatternError> {
        let replacement = Replacement::parse(replacement, self.group_count(), &self.names)?;
        let limit = if count == 0 { usize::MAX } else { count };
        let mut replaced = String::with_capacity(text.len());
        let mut copied = 0;
        self.for_each_match(text, limit, |captures| {
            let whole = whole(captures);
            replaced.push_str(&text[copied..whole.start]);
            replacement.expand(captures, &mut replaced);
            copied = whole.end;
        })?;
        replaced.push_str(&text[copied..]);
        Ok(replaced)
    }

    /// Visits the matches as `CPython`'s scanner does: a match may touch the one before it, also where that was empty, but
    /// is then not empty itself.
    fn for_each_match<'t>(
        &self,
        text: &'t str,
        limit: usize,
        mut visit: impl FnMut(&Captures<'t>),
    ) -> Result<(), PatternError> {
        let mut position = 0;
        let mut must_advance = false;
        for _ in 0..limit {
            let regex = if must_advance {
                self.advancing()?
            } else {
                &self.regex
            };
            let captures = regex.captures_from_pos(text, position);
            let Some(captures) = captures.map_err(|_| self.gave_up(text))? else {
                break;
            };
            visit(&captures);
            let whole = whole(&captures);
            must_advance = whole.is_empty();
            position = whole.end;
        }
        Ok(())
    }

    fn advancing(&self) -> Result<&Regex, PatternError> {
        if let Some(regex) = self.advancing.get() {
            return Ok(regex);
        }
        // `\G` is where the search began; the end of a match lies there only if the match is empty and starts there.
        let regex = compile(&self.pattern, &format!(r"(?:{})(?!\G)", self.translated))?;
        Ok(self.advancing.get_or_init(|| regex))
    }

    fn gave_up(&self, text: &str) -> PatternError {
        PatternError::GaveUp {
            pattern: self.pattern.clone(),
            steps: BACKTRACK_LIMIT,
            bytes: text.len(),
        }
    }
}

fn compile(pattern: &str, translated: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(translated)
        .backtrack_limit(BACKTRACK_LIMIT)
        .build()
        .map_err(|error| PatternError::new(pattern, error.to_string()))
}

/// Where the whole match lies, in bytes.
fn whole(captures: &Captures<'_>) -> std::ops::Range<usize> {
    captures.get(0).map_or(0..0, |found| found.range())
}
