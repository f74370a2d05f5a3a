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
        let unsigned = self.rest.strip_prefix(['-', '+']).unwrap_or(self.rest);
        let mut end = 0;
        for (index, character) in unsigned.char_indices() {
            let exponent_sign =
                matches!(character, '-' | '+') && unsigned[..index].ends_with(['e', 'E']);
            if !(character.is_ascii_digit()
                || matches!(character, '.' | '_' | 'e' | 'E')
                || exponent_sign)
            {
                break;
            }
            end = index + 1;
        }
        let (digits, rest) = unsigned.split_at(end);
        self.rest = rest;
        let digits = digits.replace('_', "");
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let magnitude: i64 = digits.parse().ok()?;
            return Some(if negative { -magnitude } else { magnitude }.into());
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
            '0' => '\0',
            '\\' | '\'' | '"' => character,
            '\n' => return Some(Vec::new()),
            'x' => self.hexadecimal(2)?,
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            other => return Some(vec!['\\', other]),
        }])
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse_literal;

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
        ] {
            assert_eq!(parse_literal(text), None, "{text}");
        }
    }
}
