//! Shell patterns over task names, as Python's `fnmatch`: `*`, `?`, `[abc]`, `[!abc]`, `[a-z]`; no braces.

/// Whether a name is a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Whether `name` matches `pattern` as a whole.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go back to: just after the last star, one more character swallowed by it.
    let mut retry: Option<(usize, usize)> = None;
    while seen < name.len() {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, seen));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], name[seen]) {
            at += length;
            seen += 1;
        } else if let Some((after_star, swallowed)) = retry {
            retry = Some((after_star, swallowed + 1));
            (at, seen) = (after_star, swallowed + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

/// The length of the pattern's first element, if it matches the character.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '[' => match class_end(pattern) {
            Some(end) => in_class(&pattern[1..end], character).then_some(end + 1),
            None => (character == '[').then_some(1),
        },
        literal => (literal == character).then_some(1),
    }
}

/// Index of the `]` that closes the class; one right at the start is a member.
fn class_end(pattern: &[char]) -> Option<usize> {
    let first = if pattern.get(1) == Some(&'!') { 2 } else { 1 };
    (first + 1..pattern.len()).find(|&index| pattern[index] == ']')
}

fn in_class(class: &[char], character: char) -> bool {
    let (negated, members) = match class.split_first() {
        Some(('!', members)) => (true, members),
        _ => (false, class),
    };
    let mut found = false;
    let mut index = 0;
    while index < members.len() {
        if index + 2 < members.len() && members[index + 1] == '-' {
            found |= (members[index]..=members[index + 2]).contains(&character);
            index += 3;
        } else {
            found |= members[index] == character;
            index += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::matches;

    /// Expected values: Python's `fnmatch.fnmatchcase`.
    #[test]
    fn patterns_match_as_in_python() {
        for (pattern, name, expected) in [
            ("arc_*", "arc_easy", true),
            ("arc_*", "arc", false),
            ("*easy", "arc_easy", true),
            ("*a*b*", "xaxbx", true),
            ("*a*b", "xaxbx", false),
            ("mmlu_??", "mmlu_ab", true),
            ("mmlu_[ab]", "mmlu_b", true),
            ("mmlu_[!ab]", "mmlu_b", false),
            ("t[0-9]", "t7", true),
            ("t[]]", "t]", true),
            ("t[", "t[", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
