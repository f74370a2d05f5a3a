//! Signs that a generated text is no good answer: words that repeat, and phrases that refuse. Cheap stand-ins for a classifier of
//! gibberish, so they know no grammar; case and the form of apostrophes do not matter.

use crate::ngram::ngram_counts;

/// What refusals say; most of them are the stems of TOFU's list of "I don't know" answers (Maini et al., 2024).
const REFUSALS: [&str; 32] = [
    "i don't know",
    "i do not know",
    "i'm not sure",
    "i am not sure",
    "i'm not certain",
    "i'm unsure",
    "i'm not familiar",
    "i'm not aware",
    "i'm clueless",
    "i'm at a loss",
    "i'm afraid i",
    "i'm sorry",
    "i am sorry",
    "i can't",
    "i cannot",
    "i'm unable",
    "i am unable",
    "i won't",
    "i'm not able",
    "i'm not equipped",
    "i'm not well-versed",
    "i'm not informed",
    "i have no idea",
    "i have no information",
    "i have no knowledge",
    "i don't have",
    "i don't possess",
    "i haven't learned",
    "i haven't been",
    "i must decline",
    "beyond my",
    "outside my",
];

/// Share of the runs of `order` words that are different ones (distinct-n; Li et al., 2016): 1 where none repeats, 0 for a text
/// without words. A text of fewer words is one run.
pub fn distinct_share(text: &str, order: usize) -> f64 {
    let words: Vec<String> = words(text);
    let order = order.clamp(1, words.len().max(1));
    let counts = ngram_counts(&words, order);
    let runs: usize = counts.values().sum();
    counts.len() as f64 / runs.max(1) as f64
}

/// Share of the runs of `order` words that have occurred before in the text (Welleck et al., 2020): 0 where none repeats, and
/// for a text without words.
pub fn repetition_rate(text: &str, order: usize) -> f64 {
    if words(text).is_empty() {
        return 0.0;
    }
    1.0 - distinct_share(text, order)
}

/// Whether the text has one of the phrases that refuse.
pub fn is_refusal(text: &str) -> bool {
    let text = text.to_lowercase().replace('\u{2019}', "'");
    REFUSALS.iter().any(|phrase| text.contains(phrase))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_lowercase).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn repeated_words_are_not_distinct() {
        assert_eq!(distinct_share("the cat The cat the cat", 1), 2.0 / 6.0);
        // the-cat, cat-the, the-cat, cat-the, the-cat
        assert_eq!(repetition_rate("the cat the cat the cat", 2), 3.0 / 5.0);
        assert_eq!(distinct_share("one", 4), 1.0);
        assert_eq!((distinct_share(" ", 2), repetition_rate("", 2)), (0.0, 0.0));
    }

    #[test]
    fn refusals_are_found_in_any_spelling() {
        assert!(is_refusal("Well, I\u{2019}m not sure about that."));
        assert!(is_refusal("That's beyond my current knowledge."));
        assert!(!is_refusal("Maria Silva was born in Lisbon."));
    }
}
