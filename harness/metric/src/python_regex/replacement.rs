//! The replacement text of `re.sub`: literals, `\1`, `\g<name>` and Python's escapes; refuses groups that the pattern does
//! not have and escapes that Python does not have.

use std::collections::BTreeMap;

use fancy_regex::Captures;

use super::error::PatternError;

enum Piece {
    Literal(char),
    Group(usize),
}

/// The groups that a replacement may name.
#[derive(Clone, Copy)]
struct Groups<'r> {
    count: usize,
    names: &'r BTreeMap<String, usize>,
}

/// A replacement, ready to be filled from a match.
pub(super) struct Replacement(Vec<Piece>);

impl Replacement {
    /// Reads a replacement for a pattern of `count` groups, some of which have names.
    pub(super) fn parse(
        text: &str,
        count: usize,
        names: &BTreeMap<String, usize>,
    ) -> Result<Self, PatternError> {
        let groups = Groups { count, names };
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            if character == '\\' {
                rest = escape(rest, groups, &mut pieces).map_err(|reason| {
                    PatternError::Replacement {
                        replacement: text.to_owned(),
                        reason,
                    }
                })?;
            } else {
                pieces.push(Piece::Literal(character));
            }
        }
        Ok(Self(pieces))
    }

    /// Appends the replacement of one match.
    pub(super) fn expand(&self, captures: &Captures<'_>, replaced: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(character) => replaced.push(*character),
                Piece::Group(group) => {
                    replaced.push_str(captures.get(*group).map_or("", |part| part.as_str()));
                }
            }
        }
    }
}

/// Reads what follows a `\` and returns what follows that.
fn escape<'t>(
    rest: &'t str,
    groups: Groups<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<&'t str, String> {
    let escaped = rest.chars().next().ok_or(r"nothing follows the last `\`")?;
    let after = &rest[escaped.len_utf8()..];
    let literal = match escaped {
        'g' => return named_group(after, groups, pieces),
        '0'..='9' => return numbered(rest, groups, pieces),
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        _ if escaped.is_ascii_alphabetic() => {
            return Err(format!(r"Python has no escape `\{escaped}`"));
        }
        _ => {
            pieces.push(Piece::Literal('\\'));
            escaped
        }
    };
    pieces.push(Piece::Literal(literal));
    Ok(after)
}

/// `\0` with up to two more octal digits and `\ooo` are characters, `\1` to `\99` groups.
fn numbered<'t>(
    rest: &'t str,
    groups: Groups<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<&'t str, String> {
    let digits = |radix: u32, most: usize| {
        rest.chars()
            .take(most)
            .take_while(|digit| digit.is_digit(radix))
            .count()
    };
    let octal = digits(8, 3);
    if octal == 3 || rest.starts_with('0') {
        let character = u32::from_str_radix(&rest[..octal], 8)
            .ok()
            .filter(|&number| number <= 0o377)
            .and_then(char::from_u32)
            .ok_or_else(|| format!(r"octal escape `\{}` is beyond \377", &rest[..octal]))?;
        pieces.push(Piece::Literal(character));
        return Ok(&rest[octal..]);
    }
    let (number, after) = rest.split_at(digits(10, 2));
    pieces.push(group(number, groups)?);
    Ok(after)
}

/// `<name>` or `<number>`, after `\g`.
fn named_group<'t>(
    rest: &'t str,
    groups: Groups<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<&'t str, String> {
    let (name, after) = rest
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .ok_or(r"`\g` needs a group: `\g<1>`")?;
    pieces.push(group(name, groups)?);
    Ok(after)
}

fn group(name: &str, groups: Groups<'_>) -> Result<Piece, String> {
    let index = match name.parse::<usize>() {
        Ok(number) => Some(number).filter(|&number| number <= groups.count),
        Err(_) => groups.names.get(name).copied(),
    };
    index
        .map(Piece::Group)
        .ok_or_else(|| format!("the pattern has no group `{name}`"))
}
