//! Porter's stemmer (1980) with NLTK's extensions, which rouge-score uses; for lower-case ASCII words. It differs from
//! Porter's own and from Snowball's English stemmer, so no stemming crate gives the same stems.

/// Words whose stem no rule finds.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// An ending and what takes its place. The first that fits decides, whether or not its condition holds.
type Rules = [(&'static str, &'static str)];

const PLURALS: &Rules = &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")];

const DOUBLE_SUFFIXES: &Rules = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
    ("logi", "log"),
];

const ADJECTIVE_SUFFIXES: &Rules = &[
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

const LAST_SUFFIXES: &Rules = &[
    ("al", ""),
    ("ance", ""),
    ("ence", ""),
    ("er", ""),
    ("ic", ""),
    ("able", ""),
    ("ible", ""),
    ("ant", ""),
    ("ement", ""),
    ("ment", ""),
    ("ent", ""),
    ("ion", ""),
    ("ou", ""),
    ("ism", ""),
    ("ate", ""),
    ("iti", ""),
    ("ous", ""),
    ("ive", ""),
    ("ize", ""),
];

/// The stem of a lower-case ASCII word.
pub(super) fn porter_stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    if word.len() <= 2 {
        return word.to_owned();
    }
    let word = without_plural(word);
    let word = without_past_or_participle(&word);
    let word = with_final_i(word);
    let word = without_double_suffix(&word);
    let word = replace(&word, ADJECTIVE_SUFFIXES, |stem, _| measure(stem) > 0);
    let word = replace(&word, LAST_SUFFIXES, |stem, ending| {
        measure(stem) > 1 && (ending != "ion" || stem.ends_with(['s', 't']))
    });
    without_double_l(without_final_e(word))
}

/// Step 1a.
fn without_plural(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) if word.len() == 4 => format!("{stem}ie"),
        _ => replace(word, PLURALS, |_, _| true),
    }
}

/// Step 1b.
fn without_past_or_participle(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ied") {
        return format!("{stem}{}", if word.len() == 4 { "ie" } else { "i" });
    }
    if let Some(stem) = word.strip_suffix("eed") {
        return if measure(stem) > 0 {
            format!("{stem}ee")
        } else {
            word.to_owned()
        };
    }
    let stem = ["ed", "ing"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| has_vowel(stem)));
    stem.map_or_else(|| word.to_owned(), repaired)
}

/// What is left of a verb without its ending, as a word: hop(p), fil(e), conflat(e).
fn repaired(stem: &str) -> String {
    let takes_e = ["at", "bl", "iz"].iter().any(|end| stem.ends_with(end));
    if takes_e {
        return format!("{stem}e");
    }
    let last = stem.len() - 1;
    if ends_in_double_consonant(stem) {
        let keeps_both = stem.ends_with(['l', 's', 'z']);
        return stem[..if keeps_both { last + 1 } else { last }].to_owned();
    }
    if measure(stem) == 1 && ends_in_short_syllable(stem) {
        return format!("{stem}e");
    }
    stem.to_owned()
}

/// Step 1c: `y` after a consonant that is not the first letter.
fn with_final_i(word: String) -> String {
    match word.strip_suffix('y') {
        Some(stem) if stem.len() > 1 && is_consonant(stem, stem.len() - 1) => format!("{stem}i"),
        _ => word,
    }
}

/// Step 2. `alli` goes to `al` first, so that `al` may be part of another ending.
fn without_double_suffix(word: &str) -> String {
    match word.strip_suffix("alli") {
        Some(stem) if measure(stem) > 0 => without_double_suffix(&format!("{stem}al")),
        _ => replace(word, DOUBLE_SUFFIXES, |stem, ending| {
            // The l of `logi` counts as the stem's: geologi, theologi.
            measure(stem) > 0 || (ending == "logi" && measure(&format!("{stem}l")) > 0)
        }),
    }
}

/// Step 5a.
fn without_final_e(word: String) -> String {
    match word.strip_suffix('e') {
        Some(stem) if measure(stem) > 1 => stem.to_owned(),
        Some(stem) if measure(stem) == 1 && !ends_in_short_syllable(stem) => stem.to_owned(),
        _ => word,
    }
}

/// Step 5b.
fn without_double_l(mut word: String) -> String {
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
    word
}

/// Replaces the first ending that fits, if `condition` holds for the stem before it.
fn replace(word: &str, rules: &Rules, condition: impl Fn(&str, &str) -> bool) -> String {
    let fitting = rules
        .iter()
        .find_map(|(ending, other)| Some((word.strip_suffix(ending)?, ending, other)));
    match fitting {
        Some((stem, ending, other)) if condition(stem, ending) => format!("{stem}{other}"),
        _ => word.to_owned(),
    }
}

/// Whether the letter at `index` is none of aeiou, and no y after a consonant.
fn is_consonant(word: &str, index: usize) -> bool {
    match word.as_bytes()[index] {
        b'a' | b'e' | b'i' | b'o' | b'u' => false,
        b'y' => index == 0 || !is_consonant(word, index - 1),
        _ => true,
    }
}

fn has_vowel(word: &str) -> bool {
    (0..word.len()).any(|index| !is_consonant(word, index))
}

/// Porter's m: how often a vowel is followed by a consonant.
fn measure(word: &str) -> usize {
    (1..word.len())
        .filter(|&index| is_consonant(word, index) && !is_consonant(word, index - 1))
        .count()
}

fn ends_in_double_consonant(word: &str) -> bool {
    let letters = word.as_bytes();
    let last = letters.len() - 1;
    last > 0 && letters[last] == letters[last - 1] && is_consonant(word, last)
}

/// Porter's *o: consonant, vowel, consonant other than w, x and y; NLTK adds words of a vowel and a consonant.
fn ends_in_short_syllable(word: &str) -> bool {
    let length = word.len();
    if length == 2 {
        return !is_consonant(word, 0) && is_consonant(word, 1);
    }
    length > 2
        && is_consonant(word, length - 3)
        && !is_consonant(word, length - 2)
        && is_consonant(word, length - 1)
        && !word.ends_with(['w', 'x', 'y'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples of Porter's paper, after all steps, and four words of NLTK's own.
    #[test]
    fn published_examples() {
        for (word, stem) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("cats", "cat"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("motoring", "motor"),
            ("conflated", "conflat"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("filing", "file"),
            ("happy", "happi"),
            ("relational", "relat"),
            ("generalizations", "gener"),
            ("oscillators", "oscil"),
            ("adoption", "adopt"),
            ("controll", "control"),
            ("ties", "tie"),
            ("skies", "sky"),
            ("dying", "die"),
            ("innings", "inning"),
        ] {
            assert_eq!(porter_stem(word), stem, "{word}");
        }
    }
}
