//! Functions that a YAML names: Python's behind `!function`, and native ones behind `{native: NAME}`. Calls neither.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::TaskError;
use crate::native::Slot;
use crate::yaml::{Node, NodeValue, Position};

/// A `!function` value: a Python function (or class) that only a bridge to Python can call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonFunction {
    /// Dotted name as written, such as `utils.process_docs`.
    pub name: String,
    /// Where the tag stands: the module is looked for beside this file.
    pub at: Position,
}

impl PythonFunction {
    /// The function's own name, which is a metric's name too.
    pub fn own_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// What has another name in the same module.
    pub(super) fn beside(&self, own_name: &str) -> Option<Self> {
        let (module, _) = self.name.rsplit_once('.')?;
        Some(Self {
            name: format!("{module}.{own_name}"),
            at: self.at.clone(),
        })
    }
}

impl Serialize for PythonFunction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("!function {}", self.name))
    }
}

/// A function of this program, written `{native: NAME, …arguments}`.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeFunction {
    /// Its name; known to exist for the key it stands under.
    pub name: String,
    /// The keys beside `native`.
    pub arguments: Map<String, Value>,
}

impl Serialize for NativeFunction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = Map::new();
        map.insert("native".to_owned(), json!(self.name));
        map.extend(self.arguments.clone());
        map.serialize(serializer)
    }
}

/// A function under a key that takes functions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Function {
    /// `!function`.
    Python(PythonFunction),
    /// `{native: NAME}`.
    Native(NativeFunction),
}

/// A Python function with the key it stands under, for the error where there is no bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonHook {
    /// The task's key that holds it, directly or deep inside.
    pub key: String,
    /// The function.
    pub function: PythonFunction,
}

/// The Python function that a node is, if it is one.
pub(super) fn python(node: &Node) -> Option<PythonFunction> {
    let name = node.as_str()?.to_owned();
    (node.tag.as_deref() == Some("!function")).then(|| PythonFunction {
        name,
        at: node.at.clone(),
    })
}

/// The function that a node is, if it is one; a native one must exist in its slot.
pub(super) fn function(node: &Node, slot: Slot) -> Result<Option<Function>, TaskError> {
    if let Some(function) = python(node) {
        return Ok(Some(Function::Python(function)));
    }
    let NodeValue::Mapping(mapping) = &node.value else {
        return Ok(None);
    };
    let Some(name) = mapping.get("native").and_then(Node::as_str) else {
        return Ok(None);
    };
    if !slot.names().contains(&name) {
        let hint = harness_spelling::hint(name, slot.names().iter().copied());
        let known = slot.names().join(", ");
        let message = format!("there is no native function `{name}` here{hint}; there are {known}");
        return Err(super::fields::invalid(node, message));
    }
    let mut arguments = match node.to_json() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    arguments.shift_remove("native");
    Ok(Some(Function::Native(NativeFunction {
        name: name.to_owned(),
        arguments,
    })))
}

/// Every Python function of a task, key by key.
pub(super) fn python_hooks(mapping: &crate::yaml::Mapping) -> Result<Vec<PythonHook>, TaskError> {
    let mut hooks = Vec::new();
    for (key, _, node) in mapping.iter() {
        collect(key, node, &mut hooks)?;
    }
    Ok(hooks)
}

fn collect(key: &str, node: &Node, hooks: &mut Vec<PythonHook>) -> Result<(), TaskError> {
    if let Some(function) = python(node) {
        hooks.push(PythonHook {
            key: key.to_owned(),
            function,
        });
    } else if let Some(tag) = &node.tag {
        return Err(super::fields::invalid(
            node,
            format!("`{key}` has the unknown tag `{tag}`"),
        ));
    }
    match &node.value {
        NodeValue::Scalar(_) => Ok(()),
        NodeValue::Sequence(items) => items.iter().try_for_each(|item| collect(key, item, hooks)),
        NodeValue::Mapping(inner) => inner
            .iter()
            .try_for_each(|(_, _, item)| collect(key, item, hooks)),
    }
}
