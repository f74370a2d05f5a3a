//! Types of plain scalars by YAML 1.1, as `PyYAML` resolves them: `yes` is true, `1e-5` is text, `1:30` is 90; dates stay
//! text.

use serde_json::{Number, Value};

/// The value of an unquoted scalar.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        _ => integer(text)
            .map(Value::from)
            .or_else(|| float(text))
            .unwrap_or_else(|| text.into()),
    }
}

fn split_sign(text: &str) -> (i64, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

/// Binary `0b`, octal `0`, hexadecimal `0x`, decimal and sexagesimal integers, with `_` between digits.
fn integer(text: &str) -> Option<i64> {
    let (sign, unsigned) = split_sign(text);
    let digits = unsigned.replace('_', "");
    let magnitude = if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)?
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        radix(hexadecimal, 16)?
    } else if !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    } else if unsigned.contains(':') && !unsigned.starts_with('0') {
        sexagesimal(&digits)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        radix(&digits[1..], 8)?
    } else {
        radix(&digits, 10)?
    };
    Some(sign * magnitude)
}

fn radix(digits: &str, radix: u32) -> Option<i64> {
    // from_str_radix takes a sign, which has no place here.
    let all_digits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if all_digits {
        i64::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

fn sexagesimal(text: &str) -> Option<i64> {
    let mut value = 0_i64;
    for (index, part) in text.split(':').enumerate() {
        let digit = radix(part, 10).filter(|&digit| index == 0 || digit < 60)?;
        value = value.checked_mul(60)?.checked_add(digit)?;
    }
    Some(value)
}

/// Floats, which need a dot, and a sign in the exponent: `1e-5` and `1.0e5` are text. Infinities and NaN are text too, as
/// JSON has none and no task key takes one.
fn float(text: &str) -> Option<Value> {
    let (sign, unsigned) = split_sign(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let is_number = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let has_start = whole.starts_with(|first: char| first.is_ascii_digit())
        || (whole.is_empty()
            && fraction.starts_with(|first: char| first.is_ascii_digit())
            && text == unsigned);
    let is_exponent = |part: &str| {
        part.strip_prefix(['+', '-'])
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    if !has_start || !is_number(whole) || !is_number(fraction) || !exponent.is_none_or(is_exponent)
    {
        return None;
    }
    let value: f64 = unsigned.replace('_', "").parse().ok()?;
    Number::from_f64(sign as f64 * value).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::plain;

    /// Expected values: the safe loader of `PyYAML` 6.0.3.
    #[test]
    fn types_are_those_of_yaml_1_1() {
        for (text, value) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!("y")),
            ("~", json!(null)),
            ("1e-5", json!("1e-5")),
            ("1.0e5", json!("1.0e5")),
            ("1.0e+5", json!(100_000.0)),
            ("1.5E-2", json!(0.015)),
            (".5", json!(0.5)),
            ("-.5", json!("-.5")),
            ("5.", json!(5.0)),
            ("1.0", json!(1.0)),
            ("12", json!(12)),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("0o17", json!("0o17")),
            ("017", json!(15)),
            ("08", json!("08")),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("1:30", json!(90)),
            ("1:70", json!("1:70")),
            ("1.2.3", json!("1.2.3")),
            ("2024-01-01", json!("2024-01-01")),
            ("-", json!("-")),
            ("e5", json!("e5")),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }
}
