//! A pattern of Python's `re` rewritten for fancy-regex; refuses escapes, flags and groups that Python does not have, and
//! leaves balance and repeats to the compiler.

use super::class::{class, word_boundary};
use super::error::PatternError;

/// Flags that change what is written; `i` and `s` mean the same on both sides and are handed on.
#[derive(Clone, Copy, Default)]
struct Flags {
    ascii: bool,
    multi_line: bool,
    verbose: bool,
}

/// What stands for itself inside brackets, or a class.
enum Member {
    Character(char),
    Class(String),
}

struct Translator<'p> {
    pattern: &'p str,
    rest: std::str::Chars<'p>,
    written: String,
    flags: Flags,
    /// Flags to return to when the groups that are open now close.
    open: Vec<Flags>,
    /// Whether nothing but flags has been read.
    at_start: bool,
}

/// The pattern in fancy-regex's language.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        pattern,
        rest: pattern.chars(),
        written: String::with_capacity(pattern.len() * 2),
        flags: Flags::default(),
        open: Vec::new(),
        at_start: true,
    };
    while let Some(character) = translator.rest.next() {
        translator.item(character)?;
    }
    Ok(translator.written)
}

impl<'p> Translator<'p> {
    fn item(&mut self, character: char) -> Result<(), PatternError> {
        let was_at_start = std::mem::take(&mut self.at_start);
        match character {
            '\\' => self.escape()?,
            '[' => self.brackets()?,
            '(' => self.group(was_at_start)?,
            ')' => {
                self.flags = self.open.pop().unwrap_or(self.flags);
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

    fn error(&self, reason: impl Into<String>) -> PatternError {
        PatternError::new(self.pattern, reason)
    }

    fn skip_past(&mut self, end: char) {
        while self.rest.next().is_some_and(|character| character != end) {}
    }

    /// Consumes `prefix` if it comes next.
    fn accept(&mut self, prefix: &str) -> bool {
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
    fn take_while(&mut self, most: usize, belongs: impl Fn(char) -> bool) -> &'p str {
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
    fn literal(&mut self, character: char) {
        if character.is_ascii() && !character.is_ascii_alphanumeric() {
            let number = u32::from(character);
            self.written.push_str(&format!(r"\x{{{number:x}}}"));
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
            self.written.push_str(&format!("{{{least},{most}}}"));
        } else {
            self.rest = before;
            self.literal('{');
        }
    }

    fn group(&mut self, at_start: bool) -> Result<(), PatternError> {
        if !self.accept("?") {
            self.open_group("(");
            return Ok(());
        }
        for plain in [":", "=", "!", "<=", "<!", ">"] {
            if self.accept(plain) {
                self.open_group(&format!("(?{plain}"));
                return Ok(());
            }
        }
        if self.accept("#") {
            self.until(')')?;
            self.at_start = at_start;
        } else if self.accept("P<") {
            let name = self.until('>')?;
            self.open_group(&format!("(?P<{name}>"));
        } else if self.accept("P=") {
            let name = self.until(')')?;
            self.written.push_str(&format!("(?P={name})"));
        } else if self.accept("(") {
            let condition = self.until(')')?;
            if condition.bytes().all(|byte| byte.is_ascii_digit()) {
                self.open_group(&format!("(?({condition})"));
            } else {
                self.open_group(&format!("(?(<{condition}>)"));
            }
        } else {
            self.flag_group(at_start)?;
        }
        Ok(())
    }

    fn open_group(&mut self, written: &str) {
        self.open.push(self.flags);
        self.written.push_str(written);
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
            self.open_group(&format!("(?{handed_on}:"));
        } else if self.accept(")") && off.is_empty() && at_start {
            if !handed_on.is_empty() {
                self.written.push_str(&format!("(?{handed_on})"));
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
        self.written.push_str(&format!(r"(?:\{first}{second})"));
        Ok(())
    }

    fn brackets(&mut self) -> Result<(), PatternError> {
        self.written.push('[');
        if self.accept("^") {
            self.written.push('^');
        }
        let mut is_first = true;
        loop {
            let character = self.bracket_character()?;
            if character == ']' && !is_first {
                break;
            }
            is_first = false;
            let low = self.bracket_member(character)?;
            let is_range =
                self.rest.as_str().starts_with('-') && !self.rest.as_str().starts_with("-]");
            match (low, is_range) {
                (Member::Character(low), true) => self.range(low)?,
                (Member::Character(character), false) => self.literal(character),
                (Member::Class(class), false) => self.written.push_str(&class),
                (Member::Class(_), true) => {
                    return Err(self.error("a class such as \\d cannot begin a range"));
                }
            }
        }
        self.written.push(']');
        Ok(())
    }

    fn range(&mut self, low: char) -> Result<(), PatternError> {
        self.accept("-");
        let character = self.bracket_character()?;
        match self.bracket_member(character)? {
            Member::Character(high) if low <= high => {
                self.literal(low);
                self.written.push('-');
                self.literal(high);
                Ok(())
            }
            _ => Err(self.error(format!("bad character range {low}-{character}"))),
        }
    }

    fn bracket_character(&mut self) -> Result<char, PatternError> {
        let next = self.rest.next();
        next.ok_or_else(|| self.error("missing `]`"))
    }

    fn bracket_member(&mut self, character: char) -> Result<Member, PatternError> {
        if character != '\\' {
            return Ok(Member::Character(character));
        }
        match self.bracket_character()? {
            'b' => Ok(Member::Character('\u{8}')),
            digit @ '1'..='7' => self.octal(digit).map(Member::Character),
            escaped => self.member(escaped),
        }
    }

    /// An escape that means the same inside brackets and outside.
    fn member(&mut self, escaped: char) -> Result<Member, PatternError> {
        if let Some(class) = class(escaped, self.flags.ascii) {
            return Ok(Member::Class(class));
        }
        let character = match escaped {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            '0' => self.octal('0')?,
            _ if escaped.is_ascii_alphanumeric() => {
                return Err(self.error(format!(r"Python has no escape `\{escaped}`")));
            }
            _ => escaped,
        };
        Ok(Member::Character(character))
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<char, PatternError> {
        let number = self.take_while(digits, |character| character.is_ascii_hexdigit());
        u32::from_str_radix(number, 16)
            .ok()
            .filter(|_| number.len() == digits)
            .and_then(char::from_u32)
            .ok_or_else(|| {
                self.error(format!(
                    "`{number}` is no character in {digits} hexadecimal digits"
                ))
            })
    }

    /// A character by up to three octal digits, of which `first` has been read.
    fn octal(&mut self, first: char) -> Result<char, PatternError> {
        let number = format!("{first}{}", self.take_while(2, |digit| digit.is_digit(8)));
        u32::from_str_radix(&number, 8)
            .ok()
            .filter(|&number| number <= 0o377)
            .and_then(char::from_u32)
            .ok_or_else(|| self.error(format!("octal escape `\\{number}` is beyond \\377")))
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
