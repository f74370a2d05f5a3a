//! A YAML tree in which every node knows its file, line and column; conversion to JSON values keeps the order of keys.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::TaskError;

/// A place in a YAML file; prints as `file:line:column`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file.
    pub file: Arc<Path>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The start of a file.
    pub fn start_of(file: &Path) -> Self {
        Self {
            file: file.into(),
            line: 1,
            column: 1,
        }
    }

    /// The folder of the file.
    pub fn folder(&self) -> PathBuf {
        self.file.parent().map(Path::to_owned).unwrap_or_default()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A value with its place and its own tag, such as `!function`.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value begins.
    pub at: Position,
    /// A tag other than YAML's own, with its `!`.
    pub tag: Option<String>,
    /// The value.
    pub value: NodeValue,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeValue {
    /// A null, truth value, number or string.
    Scalar(Value),
    /// A list.
    Sequence(Vec<Node>),
    /// A map with text keys.
    Mapping(Mapping),
}

/// Keys and values in file order; keys are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    entries: Vec<(String, Position, Node)>,
}

impl Mapping {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries
            .iter()
            .find(|(known, ..)| known == key)
            .map(|(.., node)| node)
    }

    /// Takes a key's value out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let index = self.entries.iter().position(|(known, ..)| known == key)?;
        Some(self.entries.remove(index).2)
    }

    /// Sets a key, in place if it is there, otherwise at the end.
    pub fn set(&mut self, key: String, at: Position, node: Node) {
        match self.entries.iter_mut().find(|(known, ..)| *known == key) {
            Some(entry) => *entry = (key, at, node),
            None => self.entries.push((key, at, node)),
        }
    }

    /// Keys, where each is written, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Position, &Node)> {
        self.entries
            .iter()
            .map(|(key, at, node)| (key.as_str(), at, node))
    }

    /// Lets the other mapping's entries win over this one's; values are replaced whole, as lm-eval's include does.
    pub fn overlay(&mut self, other: Self) {
        for (key, at, node) in other.entries {
            self.set(key, at, node);
        }
    }

    /// Whether both have the same keys with the same values and tags, in whatever order and wherever they are written.
    pub fn same_values(&self, other: &Self) -> bool {
        let has = |key, node: &Node| other.get(key).is_some_and(|known| known.same_value(node));
        self.entries.len() == other.entries.len()
            && self.iter().all(|(key, _, node)| has(key, node))
    }
}

impl Node {
    /// As [`Mapping::same_values`], of any two nodes.
    pub(super) fn same_value(&self, other: &Self) -> bool {
        let values = match (&self.value, &other.value) {
            (NodeValue::Sequence(own), NodeValue::Sequence(others)) => {
                own.len() == others.len()
                    && own
                        .iter()
                        .zip(others)
                        .all(|(one, other)| one.same_value(other))
            }
            (NodeValue::Mapping(own), NodeValue::Mapping(others)) => own.same_values(others),
            (own, others) => own == others,
        };
        self.tag == other.tag && values
    }

    /// The value as JSON; tags are dropped.
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Scalar(value) => value.clone(),
            NodeValue::Sequence(items) => items.iter().map(Self::to_json).collect(),
            NodeValue::Mapping(mapping) => mapping
                .iter()
                .map(|(key, _, node)| (key.to_owned(), node.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// Whether this is `null` or empty.
    pub fn is_null(&self) -> bool {
        self.value == NodeValue::Scalar(Value::Null)
    }

    /// The text, if the value is text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; of anything else, the thing itself: keys that take one or several.
    pub fn items_or_self(&self) -> &[Self] {
        match &self.value {
            NodeValue::Sequence(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The error of a key that does not take this value.
    pub(crate) fn wrong_type(&self, key: &str, takes: &str) -> TaskError {
        let message = format!("`{key}` takes {takes}, not {}", self.kind());
        TaskError::Yaml {
            at: self.at.clone(),
            message,
        }
    }

    /// What the value is, in words for a message.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            NodeValue::Scalar(Value::Null) => "null",
            NodeValue::Scalar(Value::Bool(_)) => "a truth value",
            NodeValue::Scalar(Value::Number(_)) => "a number",
            NodeValue::Scalar(_) => "text",
            NodeValue::Sequence(_) => "a list",
            NodeValue::Mapping(_) => "a map",
        }
    }

    /// The first node with a tag of its own, this one or below.
    pub fn first_tagged(&self) -> Option<&Self> {
        if self.tag.is_some() {
            return Some(self);
        }
        match &self.value {
            NodeValue::Scalar(_) => None,
            NodeValue::Sequence(items) => items.iter().find_map(Self::first_tagged),
            NodeValue::Mapping(mapping) => {
                mapping.iter().find_map(|(_, _, node)| node.first_tagged())
            }
        }
    }
}
