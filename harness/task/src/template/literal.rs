//! Python's `ast.literal_eval`, for templates that render to a list: strings, numbers, True, False, None, lists, tuples
//! and dicts. No sets, bytes, complex numbers or expressions.

use serde_json::{Map, Number, Value};

/// Deeper nesting than any list of choices has.
const MAX_DEPTH: usize = 32;

/// The value of a Python literal; `None` for anything else. Tuples become lists.
pub fn parse_literal(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(0)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self
            .rest
            .trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
    }

    /// Skips white space and, if it comes next, the token.
    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_space();
        match self.rest.chars().next()? {
            '[' => {
                self.take("[");
                self.items("]", depth).map(|(items, _)| Value::Array(items))
            }
            '(' => {
                self.take("(");
                let (mut items, comma) = self.items(")", depth)?;
                // (x) is x; (x,) is a tuple.
                if items.len() == 1 && !comma {
                    items.pop()
                } else {
                    Some(Value::Array(items))
                }
            }
            '{' => self.dict(depth),
            '\'' | '"' | 'r' | 'R' | 'u' | 'U' => self.strings(),
            '-' | '+' | '0'..='9' | '.' => self.number(),
            _ => self.name(),
        }
    }

    /// Values up to the closing token, and whether a comma came last.
    fn items(&mut self, close: &str, depth: usize) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.take(close) {
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value(depth + 1)?);
            comma = self.take(",");
        }
        Some((items, comma))
    }

    fn dict(&mut self, depth: usize) -> Option<Value> {
        self.take("{");
        let mut map = Map::new();
        let mut comma = true;
        while !self.take("}") {
            if !comma {
                return None;
            }
            let key = match self.value(depth + 1)? {
                Value::String(key) => key,
                Value::Number(key) => key.to_string(),
                _ => return None,
            };
            if !self.take(":") {
                return None;
            }
            map.insert(key, self.value(depth + 1)?);
            comma = self.take(",");
        }
        Some(Value::Object(map))
    }

    fn name(&mut self) -> Option<Value> {
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        match name {
            "True" => Some(true.into()),
            "False" => Some(false.into()),
            "None" => Some(Value::Null),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Value> {
        let negative = self.rest.starts_with('-');
        if self.take("-") || self.take("+") {
            self.skip_space();
        }
        let radix = match self.rest.get(..2) {
            Some("0x" | "0X") => 16,
            Some("0o" | "0O") => 8,
            Some("0b" | "0B") => 2,
            _ => 10,
        };
        if radix != 10 {
            self.rest = &self.rest[2..];
            let end = self
                .rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest;
            let digits = digits.strip_prefix('_').unwrap_or(digits);
            return integer(negative, &without_underscores(digits, radix)?, radix);
        }
        let mut end = 0;
        for (index, character) in self.rest.char_indices() {
            let exponent_sign =
                matches!(character, '-' | '+') && self.rest[..index].ends_with(['e', 'E']);
            if !(character.is_ascii_digit()
                || matches!(character, '.' | '_' | 'e' | 'E')
                || exponent_sign)
            {
                break;
            }
            end = index + 1;
        }
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        let digits = without_underscores(digits, radix)?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            // 00 is a number in Python, 01 is none.
            let padded = digits.starts_with('0') && digits.bytes().any(|byte| byte != b'0');
            return integer(negative, &digits, radix).filter(|_| !padded);
        }
        let magnitude: f64 = digits.parse().ok()?;
        Number::from_f64(if negative { -magnitude } else { magnitude }).map(Value::Number)
    }

    /// One or more string literals; adjacent ones are one string.
    fn strings(&mut self) -> Option<Value> {
        let mut text = self.string()?;
        self.skip_space();
        while self.rest.starts_with(['\'', '"']) {
            text.push_str(&self.string()?);
            self.skip_space();
        }
        Some(text.into())
    }

    fn string(&mut self) -> Option<String> {
        let raw = self.rest.starts_with(['r', 'R']);
        self.rest = self
            .rest
            .strip_prefix(['r', 'R', 'u', 'U'])
            .unwrap_or(self.rest);
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|quote| matches!(quote, '\'' | '"'))?;
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let close = if self.rest.starts_with(&triple) {
            triple
        } else {
            quote.to_string()
        };
        self.rest = &self.rest[close.len()..];
        let mut text = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(close.as_str()) {
                self.rest = rest;
                return Some(text);
            }
            let character = self.next()?;
            match character {
                '\n' if close.len() == 1 => return None,
                '\\' if raw => text.extend(['\\', self.next()?]),
                '\\' => text.extend(self.escape()?),
                _ => text.push(character),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    /// What stands after a backslash: at most two characters, as an unknown escape keeps its backslash.
    fn escape(&mut self) -> Option<Vec<char>> {
        let character = self.next()?;
        Some(vec![match character {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '0'..='7' => self.octal(character)?,
            // By their names only Python knows characters.
            'N' => return None,
            '\\' | '\'' | '"' => character,
            '\n' => return Some(Vec::new()),
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            other => return Some(vec!['\\', other]),
        }])
    }

    /// A character by up to three octal digits, of which `first` has been read.
    fn octal(&mut self, first: char) -> Option<char> {
        let mut number = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|next| next.to_digit(8)) else {
                break;
            };
            self.next()?;
            number = number * 8 + digit;
        }
        char::from_u32(number)
    }

    fn hexadecimal(&mut self, length: usize) -> Option<char> {
        let digits = self
            .rest
            .get(..length)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        self.rest = &self.rest[length..];
        Some(character)
    }
}

/// The digits of a number; `None` where an underscore does not stand between two of them.
fn without_underscores(digits: &str, radix: u32) -> Option<String> {
    let is_digit = |character: char| character.is_digit(radix);
    let mut parts = digits.split('_');
    let placed = !digits.contains('_')
        || parts.all(|part| part.starts_with(is_digit) && part.ends_with(is_digit));
    placed.then(|| digits.replace('_', ""))
}

/// An integer of at most 128 bits. Beyond 64, where JSON's numbers end, it is the text of its decimal digits, which prints
/// the same.
fn integer(negative: bool, digits: &str, radix: u32) -> Option<Value> {
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -magnitude } else { magnitude };
    Some(match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => value.into(),
        (_, Ok(value)) => value.into(),
        _ => value.to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use harness_metric::PythonRandom;
    use serde_json::{Number, Value, json};

    use super::parse_literal;
    use crate::template::python_str;

    /// Expected values: Python's `ast.literal_eval`; tuples written as lists.
    #[test]
    fn literals_are_pythons() {
        for (text, value) in [
            ("['a', \"it's\", 'n\\nl']", json!(["a", "it's", "n\nl"])),
            (
                "[1, -2, 2.5, 1e-05, True, None, ]",
                json!([1, -2, 2.5, 1e-5, true, null]),
            ),
            ("('a', 'b')", json!(["a", "b"])),
            ("('a')", json!("a")),
            ("('a',)", json!(["a"])),
            ("{'k': [1], 2: 'x'}", json!({"k": [1], "2": "x"})),
            ("['a' 'b']", json!(["ab"])),
            (r"['\u00e9\x41\q']", json!(["éA\\q"])),
            (r"r'\n'", json!("\\n")),
            ("'''a\nb'''", json!("a\nb")),
            (r"'\101\0\7\0611\400'", json!("A\0\u{7}11\u{100}")),
            (
                "[0x1F, 0XfF, 0o17, 0b_101, -0x10]",
                json!([31, 255, 15, 5, -16]),
            ),
            (
                "[1_000, 1_0.5_0, 1e1_0, 00, - 1, 01.5]",
                json!([1000, 10.5, 1e10, 0, -1, 1.5]),
            ),
            (
                "[9223372036854775808, -9223372036854775808]",
                json!([9_223_372_036_854_775_808_u64, i64::MIN]),
            ),
            (
                "[123456789012345678901, -0x1_0000_0000_0000_0000]",
                json!(["123456789012345678901", "-18446744073709551616"]),
            ),
        ] {
            assert_eq!(parse_literal(text), Some(value), "{text}");
        }
        for text in [
            "[a]",
            "['a'",
            "['a' 1]",
            "1 + x",
            "",
            "[,]",
            "'a\nb'",
            "__import__('os')",
            "01",
            "1__0",
            "1_",
            "1_.5",
            "1_e5",
            "0x",
            "0x__1",
            "0b2",
            "0o8",
            "--1",
            r"'\x4'",
        ] {
            assert_eq!(parse_literal(text), None, "{text}");
        }
    }

    /// What Python would print of a value reads back as that value.
    #[test]
    fn what_is_printed_reads_back() {
        let random = &mut PythonRandom::new(20);
        for _ in 0..3000 {
            let value = Value::Array((0..random.randbelow(4)).map(|_| any(random, 0)).collect());
            let printed = python_str(&value);
            assert_eq!(parse_literal(&printed), Some(value), "{printed}");
        }
    }

    fn any(random: &mut PythonRandom, depth: usize) -> Value {
        match random.randbelow(if depth < 4 { 8 } else { 6 }) {
            0 => Value::Null,
            1 => (random.randbelow(2) == 0).into(),
            2 => {
                let bits = random.randbelow(64) as u32;
                (random.getrandbits(bits) as i64).wrapping_neg().into()
            }
            3 => (random.getrandbits(64) as u64).into(),
            4 => Number::from_f64(f64::from_bits(random.getrandbits(64) as u64)).into(),
            5 => any_text(random).into(),
            6 => (0..random.randbelow(4))
                .map(|_| any(random, depth + 1))
                .collect(),
            _ => (0..random.randbelow(4))
                .map(|_| (any_text(random), any(random, depth + 1)))
                .collect(),
        }
    }

    fn any_text(random: &mut PythonRandom) -> String {
        let special: Vec<char> = "'\"\\\n\r\t\0\u{7f}\u{85}\u{a0}\u{ad}\u{200b}\u{2028}é 1xuN{"
            .chars()
            .collect();
        (0..random.randbelow(8))
            .filter_map(|_| match random.randbelow(4) {
                0 => char::from_u32(random.getrandbits(21) as u32),
                1 => char::from_u32(random.getrandbits(8) as u32),
                _ => Some(special[random.randbelow(special.len())]),
            })
            .collect()
    }
}
