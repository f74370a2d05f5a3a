//! Python's string methods where Rust's differ: what is white space, and how a text is capitalised.

/// `str.isspace` of one character: Unicode's white space, and the four ASCII separators.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.capitalize()`: the first letter in title case, all others in lower case, which is easy to forget.
pub(crate) fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return String::new();
    };
    let mut capitalized = title(first);
    // Lower-casing the whole lets a final sigma know that it is one.
    let lower = text.to_lowercase();
    let first_lower = first.to_lowercase().count();
    capitalized.extend(lower.chars().skip(first_lower));
    capitalized
}

/// Title case of one character. It is upper case, except that of several letters only the first one is upper case, and
/// that the Croatian digraphs have a form of their own.
fn title(character: char) -> String {
    let digraph = match character {
        'Ǆ' | 'ǅ' | 'ǆ' => Some('ǅ'),
        'Ǉ' | 'ǈ' | 'ǉ' => Some('ǈ'),
        'Ǌ' | 'ǋ' | 'ǌ' => Some('ǋ'),
        'Ǳ' | 'ǲ' | 'ǳ' => Some('ǲ'),
        _ => None,
    };
    if let Some(digraph) = digraph {
        return digraph.to_string();
    }
    let mut title = String::new();
    for upper in character.to_uppercase() {
        if title.contains(char::is_uppercase) {
            title.extend(upper.to_lowercase());
        } else {
            title.push(upper);
        }
    }
    title
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test: panics are failures")]

    use super::{capitalize, strip};
    use crate::golden::recorded;

    #[test]
    fn texts_are_stripped_and_capitalised_as_in_python() {
        let Some(recorded) = recorded("python/strings.json") else {
            return;
        };
        for case in recorded["strings"].as_array().unwrap() {
            let text = case["s"].as_str().unwrap();
            assert_eq!(
                capitalize(text),
                case["capitalize"].as_str().unwrap(),
                "{text:?}"
            );
            assert_eq!(strip(text), case["strip"].as_str().unwrap(), "{text:?}");
        }
    }
}
