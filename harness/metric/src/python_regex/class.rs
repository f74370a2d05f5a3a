//! `\d`, `\s`, `\w` and their opposites as Python defines them, written for fancy-regex; knows no other classes.

/// A class's letter, its members in Unicode mode and in ASCII mode (`(?a)`), as the inside of brackets.
const CLASSES: [(char, &str, &str); 3] = [
    ('d', r"\d", "0-9"),
    // str.isspace() also holds for four separators that Unicode does not call white space.
    ('s', r"\s\x{1c}-\x{1f}", r" \t\n\r\x{b}\x{c}"),
    // str.isalnum() or the underscore: no combining marks, but every number.
    ('w', r"\p{L}\p{N}_", "a-zA-Z0-9_"),
];

/// The members of the class of a lower-case letter.
fn members(letter: char, ascii: bool) -> Option<&'static str> {
    CLASSES
        .iter()
        .find(|(name, ..)| *name == letter)
        .map(|(_, unicode, ascii_only)| if ascii { *ascii_only } else { *unicode })
}

/// The class of `\letter`, in brackets, which may stand alone and within other brackets; `None` for other letters.
pub(super) fn class(letter: char, ascii: bool) -> Option<String> {
    let negation = if letter.is_ascii_uppercase() { "^" } else { "" };
    members(letter.to_ascii_lowercase(), ascii).map(|members| format!("[{negation}{members}]"))
}

/// `\b`, or `\B` for the opposite. In an empty text Python (up to 3.13) finds neither.
pub(super) fn word_boundary(opposite: bool, ascii: bool) -> String {
    let word = class('w', ascii).unwrap_or_default();
    let (inside, outside, not_in) = if opposite {
        ("=", "!", r"(?!\A\z)")
    } else {
        ("!", "=", "")
    };
    format!("(?:{not_in}(?:(?<={word})(?{inside}{word})|(?<!{word})(?{outside}{word})))")
}
