//! Characters by themselves, by escape, and in brackets; refuses escapes that Python does not have, and ranges that run
//! backwards.

use super::class::class;
use super::error::PatternError;
use super::translate::Translator;

/// What stands for itself inside brackets, or a class.
pub(super) enum Member {
    Character(char),
    Class(String),
}

impl Translator<'_> {
    pub(super) fn brackets(&mut self) -> Result<(), PatternError> {
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
    pub(super) fn member(&mut self, escaped: char) -> Result<Member, PatternError> {
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
    pub(super) fn octal(&mut self, first: char) -> Result<char, PatternError> {
        let number = format!("{first}{}", self.take_while(2, |digit| digit.is_digit(8)));
        u32::from_str_radix(&number, 8)
            .ok()
            .filter(|&number| number <= 0o377)
            .and_then(char::from_u32)
            .ok_or_else(|| self.error(format!("octal escape `\\{number}` is beyond \\377")))
    }
}
