//! Values as Python's `str()` and `repr()` print them, so that prompts come out byte for byte.

use std::fmt::Write;

use minijinja::Value;
use minijinja::value::{Serde, ValueKind};

/// `str(value)`; nothing for undefined.
pub(crate) fn python_text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_undefined() => String::new(),
        None => python_repr(value),
    }
}

/// `str(value)` of a JSON value.
pub fn python_str(value: &serde_json::Value) -> String {
    python_text(&Value::from(Serde(value)))
}

fn python_repr(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => "Undefined".to_owned(),
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::Number if !value.is_integer() => f64::try_from(value.clone())
            .map(float_repr)
            .unwrap_or_default(),
        ValueKind::String => string_repr(value.as_str().unwrap_or_default()),
        ValueKind::Seq if value.is_tuple() => match items(value).as_slice() {
            [only] => format!("({only},)"),
            items => format!("({})", items.join(", ")),
        },
        ValueKind::Seq | ValueKind::Iterable => format!("[{}]", items(value).join(", ")),
        ValueKind::Map => {
            let entry = |key: Value| {
                let item = value.get_item(&key).unwrap_or_default();
                format!("{}: {}", python_repr(&key), python_repr(&item))
            };
            format!(
                "{{{}}}",
                value
                    .try_iter()
                    .into_iter()
                    .flatten()
                    .map(entry)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
        _ => value.to_string(),
    }
}

fn items(value: &Value) -> Vec<String> {
    value
        .try_iter()
        .into_iter()
        .flatten()
        .map(|item| python_repr(&item))
        .collect()
}

/// The shortest digits that read back, with an exponent below 1e-4 and from 1e16, as Python's `float.__repr__`.
fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Of two shortest ones that are equally near, Python takes the even one, as printing so many digits does.
    let shortest = format!("{value:e}");
    let digits = shortest.split_once('e').map_or(1, |(mantissa, _)| {
        mantissa.bytes().filter(u8::is_ascii_digit).count()
    });
    let even = format!("{value:.*e}", digits - 1);
    let scientific = if even.parse() == Ok(value) {
        even
    } else {
        shortest
    };
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    let plain = match format!("{value:.decimals$}") {
        even if even.parse() == Ok(value) => even,
        _ => value.to_string(),
    };
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}

/// Single quotes, unless only double ones save an escape.
fn string_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            _ if character == quote => quoted.extend(['\\', quote]),
            _ if is_printable(character) => quoted.push(character),
            _ => push_escape(&mut quoted, character),
        }
    }
    quoted.push(quote);
    quoted
}

fn push_escape(quoted: &mut String, character: char) {
    let code = u32::from(character);
    // Writing to a String cannot fail.
    let _ = match code {
        0..=0xff => write!(quoted, "\\x{code:02x}"),
        0x100..=0xffff => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

/// `str.isprintable` of one character, except that unassigned code points count as printable.
fn is_printable(character: char) -> bool {
    let invisible = character.is_control() || (character.is_whitespace() && character != ' ');
    let format_or_private = matches!(u32::from(character),
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x8e2 | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e
        | 0x2060..=0x206f | 0xe000..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0xe0001..=0xe007f | 0xf_0000..);
    !invisible && !format_or_private
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::python_str;

    /// Expected values: Python 3.11.
    #[test]
    fn values_print_as_in_python() {
        for (value, expected) in [
            (json!(1e-5), "1e-05"),
            (json!(0.0001), "0.0001"),
            (json!(1e16), "1e+16"),
            (json!(123_456_789_012_345.0), "123456789012345.0"),
            (json!(1.5e300), "1.5e+300"),
            (json!(-26.976_699_829_101_563), "-26.976699829101562"),
            (json!(5e-324), "5e-324"),
            (json!(-0.0), "-0.0"),
            (json!(2.0), "2.0"),
            (json!(-7), "-7"),
            (json!(null), "None"),
            (json!([true, null, "a"]), "[True, None, 'a']"),
            (
                json!(["it's", "q\"x", "b\"o't", "n\nl", "\u{7f}\u{200b}é\u{a0}"]),
                r#"["it's", 'q"x', 'b"o\'t', 'n\nl', '\x7f\u200bé\xa0']"#,
            ),
            (json!({"k": [1, {"x": 0.5}]}), "{'k': [1, {'x': 0.5}]}"),
        ] {
            assert_eq!(python_str(&value), expected);
        }
    }
}
