//! Filters that change each response's text; refuse responses that are no text.

use serde_json::{Map, Value};

use crate::template::python_str;

/// Python's `str.strip()`.
pub(super) fn strip(text: &str) -> String {
    crate::template::strip(text).to_owned()
}

/// Python's `str.lower()`.
pub(super) fn lower(text: &str) -> String {
    text.to_lowercase()
}

/// Python's `str.upper()`.
pub(super) fn upper(text: &str) -> String {
    text.to_uppercase()
}

/// A response with its text changed.
pub(super) fn changed(change: fn(&str) -> String, response: &Value) -> Result<Value, String> {
    match response {
        Value::String(text) => Ok(change(text).into()),
        other => Err(format!("a filter for text got {}", python_str(other))),
    }
}

/// What a response stands for. Keys of a YAML map are text, so a number is looked up as it prints.
pub(super) fn mapped(mapping: &Map<String, Value>, default: &Value, response: &Value) -> Value {
    mapping
        .get(&python_str(response))
        .unwrap_or(default)
        .clone()
}
