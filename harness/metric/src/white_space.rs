//! White space as Python's `str` sees it: Unicode's, and the four separators U+001C to U+001F besides; other alphabets'
//! rules stay with `char`.

/// Whether `str.isspace` holds, and so whether `\s` matches and `str.split` cuts here.
pub(crate) fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// `text.split()`: the runs between white space.
pub(crate) fn python_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_python_space).filter(|word| !word.is_empty())
}
