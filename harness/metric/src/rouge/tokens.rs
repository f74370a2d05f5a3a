//! ROUGE's tokens: runs of ASCII letters and digits in lower case, longer ones stemmed if asked for.

use super::porter::porter_stem;

/// Stemming changes words longer than this only.
const LONGEST_UNSTEMMED: usize = 3;

/// How ROUGE cuts a text into tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RougeTokenizer {
    /// Words as they are: rouge-score's default, and `TruthfulQA`'s.
    #[default]
    Plain,
    /// Words without their endings (`use_stemmer=True`): open-unlearning's.
    Stemmed,
}

impl RougeTokenizer {
    pub(super) fn tokens(self, text: &str) -> Vec<String> {
        text.to_lowercase()
            .split(|character: char| !character.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| match self {
                Self::Stemmed if word.len() > LONGEST_UNSTEMMED => porter_stem(word),
                _ => word.to_owned(),
            })
            .collect()
    }
}
