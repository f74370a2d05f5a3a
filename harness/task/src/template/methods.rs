//! Python methods and filters that minijinja and its pycompat lack or do otherwise; everything else goes on to pycompat.

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::python_string::{capitalize, is_space};
use super::python_text;

/// minijinja's hook for methods of values.
pub(crate) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let own = match (value.as_str(), value.kind()) {
        (Some(text), _) => of_text(text, method, args)?,
        (None, ValueKind::Seq) if method == "index" => Some(list_index(value, args)?),
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

fn of_text(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let result = match method {
        "strip" | "lstrip" | "rstrip" => strip(text, method, args)?.into(),
        "split" => split(text, args)?,
        "capitalize" => capitalize(text).into(),
        "join" => {
            let (items,): (Value,) = from_args(args)?;
            join(&items, text)?.into()
        }
        "index" => {
            let (part,): (&str,) = from_args(args)?;
            let at = text
                .find(part)
                .ok_or_else(|| invalid(format!("{part:?} is not in the text")))?;
            text[..at].chars().count().into()
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

fn strip<'a>(text: &'a str, method: &str, args: &[Value]) -> Result<&'a str, Error> {
    let (characters,): (Option<&str>,) = from_args(args)?;
    let cut = |character: char| {
        characters.map_or_else(|| is_space(character), |set| set.contains(character))
    };
    Ok(match method {
        "lstrip" => text.trim_start_matches(cut),
        "rstrip" => text.trim_end_matches(cut),
        _ => text.trim_matches(cut),
    })
}

fn split(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (separator, limit, options): (Option<&str>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = separator.or(options.get("sep")?);
    let limit = limit
        .or(options.get("maxsplit")?)
        .and_then(|limit| usize::try_from(limit).ok());
    options.assert_all_used()?;
    match separator {
        Some("") => Err(invalid("split by an empty separator".to_owned())),
        Some(separator) => Ok(match limit {
            Some(limit) => text.splitn(limit + 1, separator).map(Value::from).collect(),
            None => text.split(separator).map(Value::from).collect(),
        }),
        None => Ok(split_at_space(text, limit.unwrap_or(usize::MAX))
            .into_iter()
            .map(Value::from)
            .collect()),
    }
}

/// Runs of white space separate; those at the ends do not count.
fn split_at_space(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        match rest.find(is_space) {
            Some(end) if parts.len() < limit => {
                parts.push(&rest[..end]);
                rest = rest[end..].trim_start_matches(is_space);
            }
            _ => {
                let last = if parts.len() < limit {
                    rest.trim_end_matches(is_space)
                } else {
                    rest
                };
                parts.push(last);
                break;
            }
        }
    }
    parts
}

fn list_index(list: &Value, args: &[Value]) -> Result<Value, Error> {
    let (wanted,): (Value,) = from_args(args)?;
    let found = list.try_iter()?.position(|item| item == wanted);
    found.map(Value::from).ok_or_else(|| {
        invalid(format!(
            "{} is not in {}",
            python_text(&wanted),
            python_text(list)
        ))
    })
}

fn join(items: &Value, separator: &str) -> Result<String, Error> {
    let texts: Vec<String> = items.try_iter()?.map(|item| python_text(&item)).collect();
    Ok(texts.join(separator))
}

/// `|join`, `|join(separator)`, `|join(attribute=…)`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "minijinja hands keyword arguments over"
)]
pub(super) fn join_filter(
    items: &Value,
    separator: Option<&str>,
    options: Kwargs,
) -> Result<String, Error> {
    let separator = separator.or(options.get("d")?).unwrap_or_default();
    let attribute: Option<&str> = options.get("attribute")?;
    options.assert_all_used()?;
    match attribute {
        None => join(items, separator),
        Some(attribute) => {
            let chosen: Result<Vec<Value>, Error> = items
                .try_iter()?
                .map(|item| item.get_attr(attribute))
                .collect();
            join(&Value::from(chosen?), separator)
        }
    }
}

/// `|list`: the characters of a text, the keys of a map, the items of anything else.
pub(super) fn list_filter(value: &Value) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => Ok(text.chars().map(String::from).map(Value::from).collect()),
        None => Ok(value.try_iter()?.collect::<Vec<Value>>().into()),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
