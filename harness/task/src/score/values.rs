//! Responses and per-document values between JSON and numbers; refuses what has another form than the metric needs.

use serde_json::Value;

use crate::TaskError;
use crate::field::Row;
use crate::template::python_str;

/// The key under which Python functions give numbers that are not finite: `{"__float__": "nan"}`.
const FLOAT: &str = "__float__";

/// A log-likelihood, also one that is not finite.
pub(crate) fn logprob(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        },
        Value::Object(map) if map.len() == 1 => map.get(FLOAT).and_then(logprob),
        _ => None,
    }
}

/// A number, with truth values as 0 and 1.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        other => logprob(other),
    }
}

/// A log-likelihood with its greedy flag.
pub(crate) fn loglikelihood(value: &Value) -> Option<(f64, bool)> {
    match value.as_array()?.as_slice() {
        [value, greedy] => Some((logprob(value)?, greedy.as_bool()?)),
        _ => None,
    }
}

/// The only result of a document that has one request.
pub(super) fn only<'a>(row: &Row<'_>, results: &'a [Value]) -> Result<&'a Value, TaskError> {
    match results {
        [only] => Ok(only),
        _ => Err(row.error(format!("{} results, but 1 is needed", results.len()))),
    }
}

/// The error of a result that a filter gave another form.
pub(super) fn misshapen(row: &Row<'_>, result: &Value, needs: &str) -> TaskError {
    row.error(format!(
        "the filters gave {}, but {needs} is needed; end the pipeline with take_first",
        python_str(result)
    ))
}

/// A label of a classification: numbers before texts, 1.0 and True as 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Number(i64),
    Text(String),
}

impl Label {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Bool(flag) => Self::Number((*flag).into()),
            Value::Number(number) => match number.as_f64() {
                Some(float) if float.fract() == 0.0 => Self::Number(float as i64),
                _ => Self::Text(number.to_string()),
            },
            other => Self::Text(python_str(other)),
        }
    }
}

/// Python's `bool(value)`.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// A text, or the texts of a list.
pub(super) fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) if !items.is_empty() => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
