//! BLEU's two ways to cut a text into tokens, as sacrebleu has them; keeps case.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::white_space::python_words;

/// How BLEU cuts a text into tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BleuTokenizer {
    /// `13a`, that of NIST's mteval-v13a: ASCII punctuation. sacrebleu's default, and lm-eval's `bleu`.
    #[default]
    Mteval13a,
    /// `intl`, that of mteval-v14: every script's punctuation and symbols. `TruthfulQA`'s generation scores use it.
    International,
}

/// What of a pair stands apart once it is found.
#[derive(Clone, Copy)]
enum Apart {
    First,
    Second,
}

impl BleuTokenizer {
    /// The text with its tokens separated by white space, runs of which mean no more than one.
    fn spaced(self, text: &str) -> String {
        match self {
            Self::Mteval13a => mteval_13a(text),
            Self::International => international(text),
        }
    }

    /// The tokens of a text.
    pub(super) fn tokens(self, text: &str) -> Vec<String> {
        let spaced = self.spaced(text.trim_end_matches(crate::white_space::is_python_space));
        python_words(&spaced).map(str::to_owned).collect()
    }
}

const ENTITIES: [(&str, &str); 4] = [
    ("&quot;", "\""),
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
];

fn mteval_13a(text: &str) -> String {
    let mut text = text
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ");
    for (entity, character) in ENTITIES {
        text = text.replace(entity, character);
    }
    let text = space_out(
        &format!(" {text} "),
        |character| matches!(character, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/'),
    );
    let is_digit = |character: char| character.is_ascii_digit();
    let is_point = |character: char| matches!(character, '.' | ',');
    let text = separate(&text, |c| !is_digit(c), is_point, Apart::Second);
    let text = separate(&text, is_point, |c| !is_digit(c), Apart::First);
    separate(&text, is_digit, |c| c == '-', Apart::Second)
}

fn international(text: &str) -> String {
    let group = |character: char| character.general_category_group();
    let is_number = |character| group(character) == GeneralCategoryGroup::Number;
    let is_punctuation = |character| group(character) == GeneralCategoryGroup::Punctuation;
    let text = separate(text, |c| !is_number(c), is_punctuation, Apart::Second);
    let text = separate(&text, is_punctuation, |c| !is_number(c), Apart::First);
    space_out(&text, |c| group(c) == GeneralCategoryGroup::Symbol)
}

/// Puts spaces around each character that stands alone.
fn space_out(text: &str, stands_alone: impl Fn(char) -> bool) -> String {
    let mut spaced = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if stands_alone(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced
}

/// Puts spaces around one of each two neighbours that match. Pairs are found from the left and do not overlap, as a
/// regular expression finds them: that decides what happens to `...`.
fn separate(
    text: &str,
    first: impl Fn(char) -> bool,
    second: impl Fn(char) -> bool,
    apart: Apart,
) -> String {
    let mut spaced = String::with_capacity(text.len() * 2);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let neighbour = characters.next_if(|&next| first(character) && second(next));
        match (neighbour, apart) {
            (None, _) => spaced.push(character),
            (Some(next), Apart::First) => spaced.extend([' ', character, ' ', next]),
            (Some(next), Apart::Second) => spaced.extend([character, ' ', next, ' ']),
        }
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_points() {
        let tokens = BleuTokenizer::Mteval13a.tokens("It's 1,000.5: a-b, 3-4&amp;...\n");
        assert_eq!(
            tokens,
            [
                "It's", "1,000.5", ":", "a-b", ",", "3", "-", "4", "&", ".", ".", "."
            ]
        );
    }

    #[test]
    fn the_international_one_knows_other_scripts() {
        let tokens = BleuTokenizer::International.tokens("你好，世界。5€ don't");
        assert_eq!(
            tokens,
            ["你好", "，", "世界", "。", "5", "€", "don", "'", "t"]
        );
    }
}
