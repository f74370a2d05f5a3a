//! A pattern of Python's `re` rewritten for fancy-regex; refuses escapes, flags and groups that Python does not have, and
//! leaves balance and repeats to the compiler.

use std::collections::BTreeMap;

use super::character::Member;
use super::class::word_boundary;
use super::error::PatternError;

/// Longest translation that is compiled. Compiling takes milliseconds for each kilobyte, as `\b` and `\w` are spelt out.
const MOST_BYTES: usize = 64 * 1024;

/// Characters of such a pattern that its error shows.
const SHOWN: usize = 40;

/// Flags that change what is written; `i` and `s` mean the same on both sides and are handed on.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) ascii: bool,
    multi_line: bool,
    verbose: bool,
}

/// A bracket that is still to be closed.
struct Open {
    /// Flags to return to behind it.
    flags: Flags,
    /// Its number if it is a group.
    group: Option<usize>,
}

/// A pattern in fancy-regex's language. Groups have numbers only, as names may not be mixed with them there.
pub(super) struct Translation {
    pub(super) pattern: String,
    pub(super) names: BTreeMap<String, usize>,
}

/// Reads a pattern from left to right.
pub(super) struct Translator<'p> {
    pattern: &'p str,
    pub(super) rest: std::str::Chars<'p>,
    pub(super) written: String,
    pub(super) flags: Flags,
    /// Brackets that are open now, from the outermost.
    open: Vec<Open>,
    /// Number of groups so far.
    groups: usize,
    names: BTreeMap<String, usize>,
    /// Whether nothing but flags has been read.
    at_start: bool,
}

/// Rewrites a pattern.
pub(super) fn translate(pattern: &str) -> Result<Translation, PatternError> {
    let mut translator = Translator {
        pattern,
        rest: pattern.chars(),
        written: String::with_capacity(pattern.len() * 2),
        flags: Flags::default(),
        open: Vec::new(),
        groups: 0,
        names: BTreeMap::new(),
        at_start: true,
    };
    while let Some(character) = translator.rest.next() {
        translator.item(character)?;
        if translator.written.len() > MOST_BYTES {
            return Err(PatternError::TooLong {
                bytes: pattern.len(),
                start: pattern.chars().take(SHOWN).collect(),
                most: MOST_BYTES / 1024,
            });
        }
    }
    Ok(Translation {
        pattern: translator.written,
        names: translator.names,
    })
}

impl<'p> Translator<'p> {
    fn item(&mut self, character: char) -> Result<(), PatternError> {
        let was_at_start = std::mem::take(&mut self.at_start);
        match character {
            '\\' => self.escape()?,
            '[' => self.brackets()?,
            '(' => self.parenthesis(was_at_start)?,
            ')' => {
                self.flags = self.open.pop().map_or(self.flags, |open| open.flags);
                self.written.push(')');
            }
            '^' if self.flags.multi_line => self.written.push_str("(?m:^)"),
            '$' if self.flags.multi_line => self.written.push_str("(?m:$)"),
            // The end, and also before a line feed there.
            '$' => self.written.push_str(r"(?=\n?\z)"),
            '.' | '^' | '*' | '+' | '?' | '|' => self.written.push(character),
            '{' => self.braces(),
            '#' if self.flags.verbose => self.skip_past('\n'),
            ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' if self.flags.verbose => {}
            _ => self.literal(character),
        }
        Ok(())
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> PatternError {
        PatternError::new(self.pattern, reason)
    }

    fn skip_past(&mut self, end: char) {
        while self.rest.next().is_some_and(|character| character != end) {}
    }

    /// Consumes `prefix` if it comes next.
    pub(super) fn accept(&mut self, prefix: &str) -> bool {
        let Some(rest) = self.rest.as_str().strip_prefix(prefix) else {
            return false;
        };
        self.rest = rest.chars();
        true
    }

    /// Takes the characters before `end`, and drops `end`.
    fn until(&mut self, end: char) -> Result<&'p str, PatternError> {
        let (taken, rest) = self
            .rest
            .as_str()
            .split_once(end)
            .ok_or_else(|| self.error(format!("missing `{end}`")))?;
        self.rest = rest.chars();
        Ok(taken)
    }

    /// Takes up to `most` characters that `belongs` accepts.
    pub(super) fn take_while(&mut self, most: usize, belongs: impl Fn(char) -> bool) -> &'p str {
        let text = self.rest.as_str();
        let length: usize = text
            .chars()
            .take(most)
            .take_while(|&character| belongs(character))
            .map(char::len_utf8)
            .sum();
        self.rest = text[length..].chars();
        &text[..length]
    }

    /// Writes a character that stands for itself. Punctuation goes by its number, so that none of it has a meaning.
    pub(super) fn literal(&mut self, character: char) {
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            let number = u32::from(character);
            self.written.extend([r"\x{", &format!("{number:x}"), "}"]);
        } else {
            self.written.push(character);
        }
    }

    /// `{m,n}` with either number absent, or braces that stand for themselves.
    fn braces(&mut self) {
        let before = self.rest.clone();
        let digits = |character: char| character.is_ascii_digit();
        let least = self.take_while(usize::MAX, digits);
        let most = if self.accept(",") {
            self.take_while(usize::MAX, digits)
        } else {
            least
        };
        let is_repeat = self.rest.as_str().starts_with('}') && !before.as_str().starts_with('}');
        if is_repeat {
            self.accept("}");
            let least = if least.is_empty() { "0" } else { least };
            self.written.extend(["{", least, ",", most, "}"]);
        } else {
            self.rest = before;
            self.literal('{');
        }
    }

    fn parenthesis(&mut self, at_start: bool) -> Result<(), PatternError> {
        if !self.accept("?") {
            self.open_group();
            return Ok(());
        }
        for plain in [":", "=", "!", "<=", "<!", ">"] {
            if self.accept(plain) {
                self.open(&format!("(?{plain}"), None);
                return Ok(());
            }
        }
        if self.accept("#") {
            self.until(')')?;
            self.at_start = at_start;
        } else if self.accept("P<") {
            let name = self.until('>')?.to_owned();
            self.open_group();
            if self.names.insert(name.clone(), self.groups).is_some() {
                return Err(self.error(format!("two groups are named `{name}`")));
            }
        } else if self.accept("P=") {
            let name = self.until(')')?;
            let group = self.named(name)?;
            self.reference(group)?;
        } else if self.accept("(") {
            let condition = self.until(')')?;
            let group = match condition.parse() {
                Ok(number) => number,
                Err(_) => self.named(condition)?,
            };
            self.open(&format!("(?({group})"), None);
        } else {
            self.flag_group(at_start)?;
        }
        Ok(())
    }

    fn open(&mut self, written: &str, group: Option<usize>) {
        let flags = self.flags;
        self.open.push(Open { flags, group });
        self.written.push_str(written);
    }

    fn open_group(&mut self) {
        self.groups += 1;
        self.open("(", Some(self.groups));
    }

    fn named(&self, name: &str) -> Result<usize, PatternError> {
        let group = self.names.get(name).copied();
        group.ok_or_else(|| self.error(format!("no group before this is named `{name}`")))
    }

    /// What a group matched, once more.
    fn reference(&mut self, group: usize) -> Result<(), PatternError> {
        let is_open = self.open.iter().any(|open| open.group == Some(group));
        if is_open || group > self.groups {
            return Err(self.error(format!("group {group} does not end before its repetition")));
        }
        self.written.extend([r"(?:\", &group.to_string(), ")"]);
        Ok(())
    }

    /// `(?flags)` at the start of the pattern, or `(?flags-flags:` anywhere.
    fn flag_group(&mut self, at_start: bool) -> Result<(), PatternError> {
        let letters = |character: char| character.is_ascii_alphabetic();
        let on = self.take_while(usize::MAX, letters);
        let off = if self.accept("-") {
            self.take_while(usize::MAX, letters)
        } else {
            ""
        };
        let mut flags = self.flags;
        for (flag, value) in on
            .chars()
            .map(|flag| (flag, true))
            .chain(off.chars().map(|flag| (flag, false)))
        {
            match flag {
                'a' if value => flags.ascii = true,
                'u' if value => flags.ascii = false,
                'm' => flags.multi_line = value,
                'x' => flags.verbose = value,
                'i' | 's' => {}
                _ => return Err(self.error(format!("unknown extension `(?{flag}`"))),
            }
        }
        let handed_on = handed_on(on, off);
        if self.accept(":") {
            self.open(&format!("(?{handed_on}:"), None);
        } else if self.accept(")") && off.is_empty() && at_start {
            if !handed_on.is_empty() {
                self.written.extend(["(?", &handed_on, ")"]);
            }
            self.at_start = true;
        } else {
            return Err(
                self.error("flags such as (?i) stand at the start, or end in a colon: (?i:…)")
            );
        }
        self.flags = flags;
        Ok(())
    }

    /// An escape outside brackets.
    fn escape(&mut self) -> Result<(), PatternError> {
        let escaped = self.rest.next();
        let Some(character) = escaped else {
            return Err(self.error(r"nothing follows the last `\`"));
        };
        match character {
            'A' => self.written.push_str(r"\A"),
            'Z' => self.written.push_str(r"\z"),
            'b' | 'B' => {
                let boundary = word_boundary(character == 'B', self.flags.ascii);
                self.written.push_str(&boundary);
            }
            '1'..='9' => self.back_reference(character)?,
            _ => match self.member(character)? {
                Member::Class(class) => self.written.push_str(&class),
                Member::Character(character) => self.literal(character),
            },
        }
        Ok(())
    }

    /// `\1` to `\99`, or three octal digits.
    fn back_reference(&mut self, first: char) -> Result<(), PatternError> {
        let octal = self
            .rest
            .as_str()
            .get(..2)
            .filter(|next| first <= '7' && next.chars().all(|digit| digit.is_digit(8)));
        if octal.is_some() {
            let character = self.octal(first)?;
            self.literal(character);
            return Ok(());
        }
        let second = self.take_while(1, |character| character.is_ascii_digit());
        let digits = format!("{first}{second}");
        let group = digits.parse().map_err(|_| self.error("no such group"))?;
        self.reference(group)
    }
}

/// The flags that fancy-regex must know.
fn handed_on(on: &str, off: &str) -> String {
    let same = |flags: &str| flags.replace(|flag| !matches!(flag, 'i' | 's'), "");
    let (on, off) = (same(on), same(off));
    if off.is_empty() {
        on
    } else {
        format!("{on}-{off}")
    }
}
