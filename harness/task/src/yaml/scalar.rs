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
            .or_else(|| float(text))
            .or_else(|| sexagesimal_float(text))
            .unwrap_or_else(|| text.into()),
    }
}

/// The value of a scalar with one of YAML's own tags, such as `!!int "3"`; the message of one that does not fit.
pub(super) fn tagged(text: &str, tag: &str) -> Result<Value, String> {
    let value = match tag {
        "str" | "timestamp" | "value" => return Ok(text.into()),
        "null" => return Ok(Value::Null),
        "bool" => Some(plain(&text.to_lowercase())).filter(Value::is_boolean),
        "int" => integer(text),
        "float" => sexagesimal_float(text)
            .or_else(|| Number::from_f64(text.replace('_', "").parse().ok()?).map(Value::Number)),
        _ => return Err(format!("`!!{tag}` is not a type that a task key takes")),
    };
    value.ok_or_else(|| format!("`{text}` is no {tag}"))
}

fn split_sign(text: &str) -> (i64, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    }
}

/// Binary `0b`, octal `0`, hexadecimal `0x`, decimal and sexagesimal integers, with `_` between digits. Beyond 64 bits: none.
fn integer(text: &str) -> Option<Value> {
    let (sign, unsigned) = split_sign(text);
    let digits = unsigned.replace('_', "");
    let magnitude = if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)?
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        radix(hexadecimal, 16)?
    } else if !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    } else if unsigned.contains(':') && !unsigned.starts_with('0') {
        sexagesimal(unsigned)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        radix(&digits[1..], 8)?
    } else {
        radix(&digits, 10)?
    };
    if sign > 0 {
        return Some(magnitude.into());
    }
    i64::try_from(-i128::from(magnitude)).ok().map(Value::from)
}

fn radix(digits: &str, radix: u32) -> Option<u64> {
    // from_str_radix takes a sign, which has no place here.
    let all_digits = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if all_digits {
        u64::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

/// Parts to the base of 60, of one or two digits behind the first; only the first may hold `_`.
fn sexagesimal(text: &str) -> Option<u64> {
    let (first, parts) = text.split_once(':')?;
    let starts_right = first.starts_with(|first: char| first.is_ascii_digit());
    let mut value = radix(&first.replace('_', ""), 10).filter(|_| starts_right)?;
    for part in parts.split(':') {
        let digit = radix(part, 10).filter(|&digit| part.len() < 3 && digit < 60)?;
        value = value.checked_mul(60)?.checked_add(digit)?;
    }
    Some(value)
}

/// `1:30.5` is 90.5.
fn sexagesimal_float(text: &str) -> Option<Value> {
    let (sign, unsigned) = split_sign(text);
    let (whole, fraction) = unsigned.split_once('.')?;
    let is_fraction = |digit: char| digit.is_ascii_digit() || digit == '_';
    if !whole.contains(':') || !fraction.chars().all(is_fraction) {
        return None;
    }
    let seconds = sexagesimal(whole)?;
    let fraction: f64 = format!("0.{}0", fraction.replace('_', "")).parse().ok()?;
    Number::from_f64(sign as f64 * (seconds as f64 + fraction)).map(Value::Number)
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

    use super::{plain, tagged};

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
            ("1:30.5", json!(90.5)),
            ("-1:30.25", json!(-90.25)),
            ("1:30:0.", json!(5400.0)),
            ("190:20:30", json!(685_230)),
            ("1.5:30", json!("1.5:30")),
            ("=", json!("=")),
            ("-0", json!(0)),
            ("+.5", json!("+.5")),
            ("1__0", json!(10)),
            ("TRUE", json!(true)),
            ("tRUE", json!("tRUE")),
            (
                "12345678901234567890",
                json!(12_345_678_901_234_567_890_u64),
            ),
            ("1_0.5_0", json!(10.5)),
            ("0x_1F", json!(31)),
            ("+12e3", json!("+12e3")),
            ("._5", json!("._5")),
            ("NULL", json!(null)),
            ("1.2.3", json!("1.2.3")),
            ("2024-01-01", json!("2024-01-01")),
            ("-", json!("-")),
            ("e5", json!("e5")),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    /// Expected values: as above, of PyYAML 6.0.4.
    #[test]
    fn many_scalars_have_pyyamls_types() {
        let text = "0778 _1 0b 0b2 0x 0xg 0X1F 0B1 0o7 +-9 --9 . .. .5e3 1.0e 1.0e+ 1e3 1e+3 1E5 _.5 1.e5 .e5 1:60 01:30 \
            0:30 1:60.5 1:059 1:3_0 1:3_0.5 _1:30.5 1:059.5 Y n N yEs oN nULL ~~ None none nil 1,000 1-2 1/2 v1 1a a1 e1 e+1 0x1.8 inf nan Infinity \
            2024-1-1 5e-324 100% $1 3e-4";
        for text in text.split(' ') {
            assert_eq!(plain(text), json!(text));
        }
        for (texts, value) in [
            ("0 00 -00 0b0", json!(0)),
            ("007 +7 0_7", json!(7)),
            ("0777 0x1_ff", json!(511)),
            ("-017", json!(-15)),
            ("1_ 01", json!(1)),
            ("1_000_000", json!(1_000_000)),
            ("0b1_0", json!(2)),
            ("-0b11", json!(-3)),
            ("-0x1F", json!(-31)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.5 +1.5 1_.5 1._5", json!(1.5)),
            ("1. 0.1e+1", json!(1.0)),
            ("00.5 0:0.5", json!(0.5)),
            (".5e+3", json!(500.0)),
            ("5.e+3", json!(5000.0)),
            ("1.0E+2", json!(100.0)),
            (".1_0", json!(0.1)),
            ("2.5e-05", json!(2.5e-5)),
            ("-5.e-1", json!(-0.5)),
            ("1.7976931348623157e+308", json!(f64::MAX)),
            ("1:0 1:00", json!(60)),
            ("1:5", json!(65)),
            ("1:5.", json!(65.0)),
            ("1:59", json!(119)),
            ("12:30:45", json!(45_045)),
            ("-1:30", json!(-90)),
            ("+1:30", json!(90)),
            ("01:30.5 0_1:30.5", json!(90.5)),
            ("1:2:3:4", json!(223_384)),
            ("1_0:30", json!(630)),
            ("60:59", json!(3659)),
            ("Yes YES on On ON true True", json!(true)),
            ("no No NO off OFF false False FALSE", json!(false)),
            ("null Null", json!(null)),
        ] {
            for text in texts.split(' ') {
                assert_eq!(plain(text), value, "{text}");
            }
        }
    }

    /// Expected values: as above.
    #[test]
    fn tags_of_yaml_itself_decide_the_type() {
        for (tag, text, value) in [
            ("int", "3", json!(3)),
            ("int", "0x1f", json!(31)),
            ("float", "3", json!(3.0)),
            ("float", "1e5", json!(100_000.0)),
            ("float", "1:30.5", json!(90.5)),
            ("bool", "Yes", json!(true)),
            ("str", "3", json!("3")),
            ("null", "x", json!(null)),
        ] {
            assert_eq!(tagged(text, tag), Ok(value), "!!{tag} {text}");
        }
        assert_eq!(tagged("x", "float"), Err("`x` is no float".to_owned()));
        assert!(tagged("aGk=", "binary").is_err());
    }
}
