//! The filter `multi_choice_regex`: the letter of a choice, by a pattern, by the choice's text, or after a colon; refuses
//! documents without choices.

use harness_data::Document;
use harness_metric::PythonRegex;
use serde_json::Value;

use super::Responses;
use super::arguments::Arguments;
use super::regex::{Found, RegexFilter, compile};
use crate::template::strip;

/// A compiled `multi_choice_regex` filter.
pub(crate) struct MultiChoiceRegex {
    regex: RegexFilter,
    regexes_to_ignore: Vec<PythonRegex>,
    ignore_case: bool,
    /// What Unicode calls punctuation, if it is to be ignored.
    punctuation: Option<fancy_regex::Regex>,
}

/// A document's choices as patterns.
struct Choices {
    /// The texts as they are compared, in order; the index is the letter.
    texts: Vec<String>,
    by_text: PythonRegex,
    by_letter: PythonRegex,
}

impl MultiChoiceRegex {
    pub(super) fn compile(arguments: &mut Arguments<'_>) -> Result<Self, String> {
        let punctuation = arguments
            .flag("ignore_punctuation")?
            .then(|| fancy_regex::Regex::new(r"\p{P}"))
            .transpose()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            regex: RegexFilter::compile(arguments)?,
            regexes_to_ignore: arguments
                .texts("regexes_to_ignore")?
                .iter()
                .map(|pattern| compile(pattern))
                .collect::<Result<_, _>>()?,
            ignore_case: arguments.flag("ignore_case")?,
            punctuation,
        })
    }

    pub(super) fn apply(
        &self,
        responses: Responses,
        document: &Document,
    ) -> Result<Responses, String> {
        let choices = self.choices(document)?;
        responses.map(|response| {
            let text = response.as_str().unwrap_or_default();
            self.extract(text, &choices).map(Value::from)
        })
    }

    /// The first of the three ways that finds something.
    fn extract(&self, text: &str, choices: &Choices) -> Result<String, String> {
        let own = found(&self.regex.search_own(text)?);
        if !own.is_empty() {
            return Ok(own);
        }
        let comparable = self.comparable(text)?;
        let by_text = found(&self.regex.search(&choices.by_text, &comparable)?);
        if !by_text.is_empty() {
            // The last of equal choices gives the letter, as in a dictionary.
            let index = choices.texts.iter().rposition(|text| *text == by_text);
            return Ok(index.map_or(by_text, |index| format!("({})", letter(index))));
        }
        let by_letter = found(&self.regex.search(&choices.by_letter, text)?);
        if by_letter.is_empty() {
            return Ok(self.regex.fallback.clone());
        }
        Ok(format!("({by_letter})"))
    }

    fn choices(&self, document: &Document) -> Result<Choices, String> {
        let column = document.get("choices").and_then(Value::as_array);
        let texts =
            column.and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        let texts = texts
            .ok_or("multi_choice_regex needs a column `choices` that is a list of texts")?
            .into_iter()
            .map(|text| self.comparable(strip(text)))
            .collect::<Result<Vec<_>, _>>()?;
        // Longest first: a choice that begins another must not hide it.
        let mut patterns: Vec<String> = texts.iter().map(|text| escape(text)).collect();
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.chars().count()));
        let letters: Vec<String> = (0..texts.len())
            .map(|i| escape(&letter(i).to_string()))
            .collect();
        Ok(Choices {
            by_text: compile(&patterns.join("|"))?,
            by_letter: compile(&format!(r":[\s]*({})", letters.join("|")))?,
            texts,
        })
    }

    /// A text without what is to be ignored.
    fn comparable(&self, text: &str) -> Result<String, String> {
        let mut text = text.to_owned();
        for pattern in &self.regexes_to_ignore {
            text = pattern
                .sub("", &text, 0)
                .map_err(|error| error.to_string())?;
        }
        if self.ignore_case {
            text = text.to_lowercase();
        }
        if let Some(punctuation) = &self.punctuation {
            text = punctuation.replace_all(&text, "").into_owned();
        }
        Ok(text)
    }
}

fn found(found: &Found<'_>) -> String {
    match found {
        Found::Match(text) => strip(text).to_owned(),
        Found::Nothing | Found::Empty => String::new(),
    }
}

/// The letter of a choice: A, B, C, … and on through Unicode.
fn letter(index: usize) -> char {
    char::from_u32('A' as u32 + index as u32).unwrap_or('?')
}

/// Python's `re.escape`: a backslash before what a pattern could take for its own.
fn escape(text: &str) -> String {
    let special = |c: char| "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}".contains(c);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if special(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
