//! Nodes out of parser events: positions, anchors, merge keys. Refuses deep nesting, aliases that multiply without bound, a key
//! with two values, keys that are lists or maps, a second document.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use libyaml_safer::{Event, EventData, Mark, ScalarStyle};
use serde_json::Value;

use super::{Mapping, Node, NodeValue, Position, scalar};
use crate::TaskError;

/// Deeper nesting than any task needs.
const MAX_DEPTH: usize = 64;

/// Nodes that aliases may add to a file before it is taken for an attack.
const MAX_ALIASED_NODES: usize = 100_000;

/// How YAML's own tags begin, `!!` written out.
const CORE: &str = "tag:yaml.org,2002:";

/// A document under construction.
pub(super) struct Builder {
    pub(super) file: Arc<Path>,
    open: Vec<Open>,
    anchors: BTreeMap<String, Node>,
    aliased_nodes: usize,
    root: Option<Node>,
}

/// A collection whose end has not come yet.
struct Open {
    at: Position,
    tag: Option<String>,
    anchor: Option<String>,
    collection: Collection,
}

enum Collection {
    Sequence(Vec<Node>),
    Mapping {
        /// The entries so far.
        own: Mapping,
        /// The entries of merge keys.
        merged: Mapping,
        /// The key that waits for its value.
        key: Option<Key>,
    },
}

enum Key {
    Text(String, Position),
    /// The merge key of YAML 1.1, `<<` without quotes.
    Merge,
}

impl Builder {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.into(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            aliased_nodes: 0,
            root: None,
        }
    }

    pub(super) fn position(&self, mark: Mark) -> Position {
        Position {
            file: Arc::clone(&self.file),
            line: mark.line as usize + 1,
            column: mark.column as usize + 1,
        }
    }

    /// The document; null, if there was none.
    pub(super) fn finish(self) -> Node {
        self.root.unwrap_or_else(|| Node {
            at: Position::start_of(&self.file),
            tag: None,
            value: NodeValue::Scalar(Value::Null),
        })
    }

    pub(super) fn take(&mut self, event: Event) -> Result<(), TaskError> {
        let at = self.position(event.start_mark);
        match event.data {
            EventData::Scalar {
                anchor,
                tag,
                value,
                style,
                ..
            } => self.scalar(at, anchor, tag.as_deref(), value, style),
            EventData::SequenceStart { anchor, tag, .. } => {
                let tag = collection_tag(tag.as_deref(), "seq", &at)?;
                self.begin(at, tag, anchor, Collection::Sequence(Vec::new()))
            }
            EventData::MappingStart { anchor, tag, .. } => {
                let tag = collection_tag(tag.as_deref(), "map", &at)?;
                let mapping = Collection::Mapping {
                    own: Mapping::default(),
                    merged: Mapping::default(),
                    key: None,
                };
                self.begin(at, tag, anchor, mapping)
            }
            EventData::SequenceEnd | EventData::MappingEnd => self.end(),
            EventData::Alias { anchor } => self.alias(&anchor, at),
            EventData::DocumentStart { .. } if self.root.is_some() => {
                Err(error(at, "a second document; a task file holds one"))
            }
            EventData::DocumentStart { .. }
            | EventData::DocumentEnd { .. }
            | EventData::StreamStart { .. }
            | EventData::StreamEnd => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        at: Position,
        anchor: Option<String>,
        tag: Option<&str>,
        text: String,
        style: ScalarStyle,
    ) -> Result<(), TaskError> {
        let is_plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag == "!");
        if is_plain && text == "<<" && self.expect_merged() {
            return Ok(());
        }
        let value = match tag.and_then(|tag| tag.strip_prefix(CORE)) {
            Some(core) => {
                scalar::tagged(&text, core).map_err(|message| error(at.clone(), message))?
            }
            None if is_plain => scalar::plain(&text),
            None => text.into(),
        };
        let node = Node {
            at,
            tag: tag.and_then(own_tag),
            value: NodeValue::Scalar(value),
        };
        self.complete(node, anchor)
    }

    /// Takes `<<` for a merge key where a key is due.
    fn expect_merged(&mut self) -> bool {
        match self.open.last_mut().map(|open| &mut open.collection) {
            Some(Collection::Mapping {
                key: key @ None, ..
            }) => {
                *key = Some(Key::Merge);
                true
            }
            _ => false,
        }
    }

    fn begin(
        &mut self,
        at: Position,
        tag: Option<String>,
        anchor: Option<String>,
        collection: Collection,
    ) -> Result<(), TaskError> {
        if self.open.len() == MAX_DEPTH {
            return Err(error(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.open.push(Open {
            at,
            tag,
            anchor,
            collection,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), TaskError> {
        let Some(Open {
            at,
            tag,
            anchor,
            collection,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match collection {
            Collection::Sequence(items) => NodeValue::Sequence(items),
            Collection::Mapping {
                own, mut merged, ..
            } => {
                merged.overlay(own);
                NodeValue::Mapping(merged)
            }
        };
        self.complete(Node { at, tag, value }, anchor)
    }

    fn alias(&mut self, anchor: &str, at: Position) -> Result<(), TaskError> {
        let Some(node) = self.anchors.get(anchor) else {
            let message = format!("`*{anchor}` has no anchor `&{anchor}` before it");
            return Err(error(at, message));
        };
        self.aliased_nodes += count(node);
        if self.aliased_nodes > MAX_ALIASED_NODES {
            let message = format!("aliases expand to over {MAX_ALIASED_NODES} nodes");
            return Err(error(at, message));
        }
        let node = node.clone();
        self.complete(node, None)
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node, anchor: Option<String>) -> Result<(), TaskError> {
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.root = Some(node),
            Some(Collection::Sequence(items)) => items.push(node),
            Some(Collection::Mapping { own, merged, key }) => match key.take() {
                None => *key = Some(Key::Text(key_text(&node)?, node.at)),
                Some(Key::Text(key, at)) => insert(own, key, at, node)?,
                Some(Key::Merge) => merge(merged, node)?,
            },
        }
        Ok(())
    }
}

fn error(at: Position, message: impl Into<String>) -> TaskError {
    TaskError::Yaml {
        at,
        message: message.into(),
    }
}

/// Sets a key. Said twice in the same way it is harmless; with two values, one of them would be lost.
fn insert(own: &mut Mapping, key: String, at: Position, node: Node) -> Result<(), TaskError> {
    if let Some((_, first, known)) = own.iter().find(|(known, ..)| *known == key)
        && !known.same_value(&node)
    {
        let message = format!(
            "duplicate key `{key}`; it is already set on line {}",
            first.line
        );
        return Err(error(at, message));
    }
    own.set(key, at, node);
    Ok(())
}

/// The value of a merge key: a map, or several of which the earlier win; a later merge key wins over an earlier one.
fn merge(merged: &mut Mapping, node: Node) -> Result<(), TaskError> {
    let maps = match node.value {
        NodeValue::Sequence(items) => items,
        _ => vec![node],
    };
    for map in maps.into_iter().rev() {
        let kind = map.kind();
        let NodeValue::Mapping(entries) = map.value else {
            let message = format!("`<<` takes a map or a list of maps, not {kind}");
            return Err(error(map.at, message));
        };
        merged.overlay(entries);
    }
    Ok(())
}

/// A key as text, as JSON writes it: choices and mappings may be keyed by numbers, truth values or null.
fn key_text(node: &Node) -> Result<String, TaskError> {
    match &node.value {
        NodeValue::Scalar(Value::String(text)) => Ok(text.clone()),
        NodeValue::Scalar(value) => Ok(value.to_string()),
        _ => {
            let message = format!("{} as a key; a key is a single value", node.kind());
            Err(error(node.at.clone(), message))
        }
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        NodeValue::Scalar(_) => 0,
        NodeValue::Sequence(items) => items.iter().map(count).sum(),
        NodeValue::Mapping(mapping) => mapping.iter().map(|(_, _, node)| count(node)).sum(),
    }
}

/// A tag that is not YAML's own; a lone `!` is none, as in `PyYAML`.
fn own_tag(tag: &str) -> Option<String> {
    (tag != "!" && !tag.starts_with(CORE)).then(|| tag.to_owned())
}

/// The tag of a list or map; of YAML's own tags, only `expected` goes with it.
fn collection_tag(
    tag: Option<&str>,
    expected: &str,
    at: &Position,
) -> Result<Option<String>, TaskError> {
    match tag.and_then(|tag| tag.strip_prefix(CORE)) {
        Some(core) if core != expected => {
            let message = format!("`!!{core}` is not a type that a task key takes");
            Err(error(at.clone(), message))
        }
        _ => Ok(tag.and_then(own_tag)),
    }
}
