//! What one YAML file defines: a task, a group, or nothing. Names and tags only; nothing is typed yet.

use serde::{Deserialize, Serialize};

use crate::TaskError;
use crate::yaml::{Mapping, Node};

/// What one file defines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Definition {
    Task { name: String, tags: Vec<String> },
    Group { name: String },
    Nothing,
}

/// What a map defines, by lm-eval's order of keys: `class`, then `group`, then `task`.
///
/// # Errors
/// On names and tags that are no text.
pub(super) fn definition(mapping: &Mapping) -> Result<Definition, TaskError> {
    let present = |key| mapping.get(key).filter(|node| !node.is_null());
    let (class, group, task) = (present("class"), present("group"), present("task"));
    match (class, group, task) {
        (None, Some(group), _) => Ok(Definition::Group {
            name: text(group, "group", "a name")?,
        }),
        (_, _, Some(task)) => Ok(Definition::Task {
            name: text(task, "task", "a name, as there is no `group`")?,
            tags: tags(mapping)?,
        }),
        (Some(class), _, None) => {
            let message = "a task with a `class` needs the key `task`, its name".to_owned();
            Err(TaskError::Yaml {
                at: class.at.clone(),
                message,
            })
        }
        (None, None, None) => Ok(Definition::Nothing),
    }
}

fn tags(mapping: &Mapping) -> Result<Vec<String>, TaskError> {
    match mapping.get("tag").filter(|node| !node.is_null()) {
        None => Ok(Vec::new()),
        Some(node) => node
            .items_or_self()
            .iter()
            .map(|item| text(item, "tag", "names"))
            .collect(),
    }
}

fn text(node: &Node, key: &str, takes: &str) -> Result<String, TaskError> {
    node.as_str()
        .map(str::to_owned)
        .ok_or_else(|| node.wrong_type(key, takes))
}
