//! From the text of one YAML file to a tree with positions; a loop over parser events, so nesting is bounded by a
//! number and not by the stack.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::Value;

use super::{Mapping, Node, NodeValue, Position, scalar};
use crate::TaskError;

/// Deeper nesting than any task needs.
const MAX_DEPTH: usize = 64;

/// Nodes that aliases may add to a file before it is taken for an attack.
const MAX_ALIASED_NODES: usize = 100_000;

/// Parses the single document of a YAML file; an empty file is null.
///
/// # Errors
/// On broken YAML, duplicate keys, keys that are not text, and a second document.
pub fn parse(text: &str, file: &Path) -> Result<Node, TaskError> {
    let mut builder = Builder::new(file);
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| builder.error(*error.marker(), error.info().to_owned()))?;
        builder.take(event, span.start)?;
    }
    Ok(builder.root.unwrap_or_else(|| Node {
        at: Position::start_of(file),
        tag: None,
        value: NodeValue::Scalar(Value::Null),
    }))
}

struct Builder {
    file: Arc<Path>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    aliased_nodes: usize,
    root: Option<Node>,
}

/// A collection whose end has not come yet.
struct Open {
    at: Position,
    tag: Option<String>,
    anchor: usize,
    collection: Collection,
}

enum Collection {
    Sequence(Vec<Node>),
    /// The entries so far, and the key that waits for its value.
    Mapping(Mapping, Option<(String, Position)>),
}

impl Builder {
    fn new(file: &Path) -> Self {
        Self {
            file: file.into(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            aliased_nodes: 0,
            root: None,
        }
    }

    fn position(&self, marker: Marker) -> Position {
        Position {
            file: Arc::clone(&self.file),
            line: marker.line(),
            column: marker.col() + 1,
        }
    }

    fn error(&self, marker: Marker, message: String) -> TaskError {
        TaskError::Yaml {
            at: self.position(marker),
            message,
        }
    }

    fn take(&mut self, event: Event<'_>, marker: Marker) -> Result<(), TaskError> {
        let at = self.position(marker);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = NodeValue::Scalar(scalar_value(&text, style, tag.as_deref()));
                self.complete(
                    Node {
                        at,
                        tag: own_tag(tag.as_deref()),
                        value,
                    },
                    anchor,
                )
            }
            Event::SequenceStart(anchor, tag) => self.begin(
                at,
                own_tag(tag.as_deref()),
                anchor,
                Collection::Sequence(Vec::new()),
            ),
            Event::MappingStart(anchor, tag) => self.begin(
                at,
                own_tag(tag.as_deref()),
                anchor,
                Collection::Mapping(Mapping::default(), None),
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::DocumentStart(_) if self.root.is_some() => Err(TaskError::Yaml {
                at,
                message: "a second document; a task file holds one".to_owned(),
            }),
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamStart
            | Event::StreamEnd
            | Event::Nothing => Ok(()),
        }
    }

    fn begin(
        &mut self,
        at: Position,
        tag: Option<String>,
        anchor: usize,
        collection: Collection,
    ) -> Result<(), TaskError> {
        if self.open.len() == MAX_DEPTH {
            return Err(TaskError::Yaml {
                at,
                message: format!("nested more than {MAX_DEPTH} deep"),
            });
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
            Collection::Mapping(mapping, _) => NodeValue::Mapping(mapping),
        };
        self.complete(Node { at, tag, value }, anchor)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), TaskError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(TaskError::Yaml {
                at,
                message: "an alias inside its own anchor".to_owned(),
            });
        };
        self.aliased_nodes += count(node);
        if self.aliased_nodes > MAX_ALIASED_NODES {
            return Err(TaskError::Yaml {
                at,
                message: format!("aliases expand to over {MAX_ALIASED_NODES} nodes"),
            });
        }
        let node = node.clone();
        self.complete(node, 0)
    }

    /// Puts a finished node where it belongs; anchors are numbered from 1.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), TaskError> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.root = Some(node),
            Some(Collection::Sequence(items)) => items.push(node),
            Some(Collection::Mapping(_, key @ None)) => *key = Some((key_text(&node)?, node.at)),
            Some(Collection::Mapping(mapping, key @ Some(_))) => {
                if let Some((key, at)) = key.take() {
                    insert(mapping, key, at, node)?;
                }
            }
        }
        Ok(())
    }
}

fn insert(mapping: &mut Mapping, key: String, at: Position, node: Node) -> Result<(), TaskError> {
    if key == "<<" {
        let what = "the merge key `<<`".to_owned();
        return Err(TaskError::Unsupported {
            at,
            what,
            instead: "; use include",
        });
    }
    if let Some((_, first, _)) = mapping.iter().find(|(known, ..)| *known == key) {
        let message = format!(
            "duplicate key `{key}`; it is already set on line {}",
            first.line
        );
        return Err(TaskError::Yaml { at, message });
    }
    mapping.set(key, at, node);
    Ok(())
}

/// A key as text: YAML keys of a task are text, but choices and mappings may be keyed by numbers.
fn key_text(node: &Node) -> Result<String, TaskError> {
    match &node.value {
        NodeValue::Scalar(Value::String(text)) => Ok(text.clone()),
        NodeValue::Scalar(Value::Number(number)) => Ok(number.to_string()),
        _ => {
            let message = format!("{} as a key; keys are text", node.kind());
            Err(TaskError::Yaml {
                at: node.at.clone(),
                message,
            })
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

fn own_tag(tag: Option<&Tag>) -> Option<String> {
    tag.filter(|tag| !tag.is_yaml_core_schema())
        .map(ToString::to_string)
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    if style == ScalarStyle::Plain && tag.is_none() {
        scalar::plain(text)
    } else {
        Value::from(text)
    }
}
