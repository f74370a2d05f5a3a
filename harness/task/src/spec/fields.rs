//! Typed reading of single keys: absent and null are the same, anything of the wrong type is refused with its place.

use serde_json::{Map, Value};

use super::FieldSource;
use super::function::function;
use crate::TaskError;
use crate::native::Slot;
use crate::yaml::{Mapping, Node, NodeValue};

/// The error of a value that is wrong for a reason of its own.
pub(super) fn invalid(node: &Node, message: String) -> TaskError {
    let at = node.at.clone();
    TaskError::Yaml { at, message }
}

/// The value of a key, unless it is absent or null.
pub(super) fn present<'a>(mapping: &'a Mapping, key: &str) -> Option<&'a Node> {
    mapping.get(key).filter(|node| !node.is_null())
}

pub(super) fn text(mapping: &Mapping, key: &str) -> Result<Option<String>, TaskError> {
    let read = |node: &Node| {
        node.as_str()
            .map(str::to_owned)
            .ok_or_else(|| node.wrong_type(key, "text"))
    };
    present(mapping, key).map(read).transpose()
}

pub(super) fn flag(mapping: &Mapping, key: &str) -> Result<Option<bool>, TaskError> {
    let read = |node: &Node| {
        node.to_json()
            .as_bool()
            .ok_or_else(|| node.wrong_type(key, "true or false"))
    };
    present(mapping, key).map(read).transpose()
}

pub(super) fn count(mapping: &Mapping, key: &str) -> Result<Option<usize>, TaskError> {
    let read = |node: &Node| {
        let given = node.to_json();
        let message = || format!("`{key}` takes a whole number from 0, not {given}");
        let count = given.as_u64().map(|count| count as usize);
        count.ok_or_else(|| invalid(node, message()))
    };
    present(mapping, key).map(read).transpose()
}

/// A map without tags, as JSON.
pub(super) fn json_map(
    mapping: &Mapping,
    key: &str,
) -> Result<Option<Map<String, Value>>, TaskError> {
    let read = |node: &Node| match node.to_json() {
        Value::Object(map) => Ok(map),
        _ => Err(node.wrong_type(key, "a map")),
    };
    present(mapping, key).map(read).transpose()
}

/// One of several names.
pub(super) fn one_of<T: Clone>(
    node: &Node,
    key: &str,
    names: &[(&str, T)],
) -> Result<T, TaskError> {
    let Some(name) = node.as_str() else {
        return Err(node.wrong_type(key, "text"));
    };
    if let Some((_, value)) = names.iter().find(|(known, _)| *known == name) {
        return Ok(value.clone());
    }
    let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
    let hint = harness_spelling::hint(name, known.iter().copied());
    let message = format!(
        "`{key}` has no value `{name}`{hint}; it takes {}",
        known.join(", ")
    );
    Err(invalid(node, message))
}

/// The items of a list that must not be empty.
pub(super) fn list<'a>(node: &'a Node, key: &str, of: &str) -> Result<&'a [Node], TaskError> {
    match &node.value {
        NodeValue::Sequence(items) if !items.is_empty() => Ok(items),
        NodeValue::Sequence(_) => {
            let message = format!("{key} is empty: leave the key out for the default");
            Err(invalid(node, message))
        }
        _ => Err(node.wrong_type(key, &format!("a list of {of}"))),
    }
}

/// A `doc_to_text`, `doc_to_target` or `doc_to_choice`; the choices of a map are its values.
pub(super) fn source(mapping: &Mapping, key: &str) -> Result<Option<FieldSource>, TaskError> {
    present(mapping, key)
        .map(|node| field_source(node, key))
        .transpose()
}

fn field_source(node: &Node, key: &str) -> Result<FieldSource, TaskError> {
    if let Some(function) = function(node, Slot::Field)? {
        return Ok(FieldSource::Function(function));
    }
    match node.to_json() {
        Value::String(text) => Ok(FieldSource::Text(text)),
        Value::Number(number)
            if !matches!(key, "doc_to_choice" | "doc_to_wrong" | "doc_to_paraphrase") =>
        {
            match number.as_i64() {
                Some(index) => Ok(FieldSource::Index(index)),
                None => Err(node.wrong_type(key, "a whole number")),
            }
        }
        Value::Array(items) if !matches!(key, "doc_to_text" | "doc_to_paraphrase") => {
            Ok(FieldSource::List(items))
        }
        Value::Object(choices) if key == "doc_to_choice" => Ok(FieldSource::List(
            choices.into_iter().map(|(_, choice)| choice).collect(),
        )),
        _ => Err(node.wrong_type(key, takes(key))),
    }
}

fn takes(key: &str) -> &'static str {
    match key {
        "doc_to_choice" => "a column, a template, a list or a map",
        "doc_to_paraphrase" => "a column or a template",
        "doc_to_wrong" => "a column, a template or a list",
        "doc_to_target" => "a column, a template, a choice index or a list",
        _ => "a column, a template or a choice index",
    }
}
