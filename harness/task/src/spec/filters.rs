//! `filter_list`: pipelines of filters with their arguments, as data; `filter` compiles them. Refuses filters that do not
//! exist and pipelines of one name.

use serde::Serialize;
use serde_json::{Map, Value};

use super::fields::{invalid, list, text};
use super::function::{PythonFunction, PythonHook, python};
use super::keys;
use crate::TaskError;
use crate::filter::FILTERS;
use crate::yaml::{Mapping, Node, NodeValue};

/// One item of `filter_list`: what is done to the responses before they are scored, under a name of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineSpec {
    /// Name in results and records.
    pub name: String,
    /// The steps, in order.
    pub filter: Vec<FilterSpec>,
}

/// One step of a pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterSpec {
    /// Which filter.
    pub function: FilterFunction,
    /// Its other keys.
    #[serde(flatten)]
    pub arguments: Map<String, Value>,
}

/// A filter of lm-eval by name, or a Python one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FilterFunction {
    /// A name that exists.
    Named(String),
    /// A Python class, which the step's arguments construct; also one that a module of the task registers under a name.
    Class(PythonFunction),
    /// The `filter_fn` of the filter `custom`.
    Custom(PythonFunction),
}

impl PipelineSpec {
    /// The pipeline of a task without `filter_list`.
    pub(crate) fn take_first() -> Self {
        let first = FilterSpec {
            function: FilterFunction::Named("take_first".to_owned()),
            arguments: Map::new(),
        };
        Self {
            name: "none".to_owned(),
            filter: vec![first],
        }
    }
}

pub(super) fn filter_list(
    node: &Node,
    hooks: &[PythonHook],
) -> Result<Vec<PipelineSpec>, TaskError> {
    let mut pipelines: Vec<PipelineSpec> = Vec::new();
    for item in list(node, "filter_list", "maps")? {
        let pipeline = pipeline(item, hooks)?;
        if pipelines.iter().any(|known| known.name == pipeline.name) {
            let message = format!("filter pipeline `{}` is listed twice", pipeline.name);
            return Err(invalid(item, message));
        }
        pipelines.push(pipeline);
    }
    Ok(pipelines)
}

fn pipeline(item: &Node, hooks: &[PythonHook]) -> Result<PipelineSpec, TaskError> {
    let NodeValue::Mapping(mapping) = &item.value else {
        return Err(item.wrong_type("filter_list", "maps with the keys `name` and `filter`"));
    };
    keys::check(mapping, &keys::PIPELINE)?;
    let missing = |key: &str| {
        invalid(
            item,
            format!("an item of filter_list needs the key `{key}`"),
        )
    };
    let steps = mapping.get("filter").ok_or_else(|| missing("filter"))?;
    Ok(PipelineSpec {
        name: text(mapping, "name")?.ok_or_else(|| missing("name"))?,
        filter: list(steps, "filter", "maps")?
            .iter()
            .map(|item| step(item, hooks))
            .collect::<Result<_, _>>()?,
    })
}

fn step(item: &Node, hooks: &[PythonHook]) -> Result<FilterSpec, TaskError> {
    let NodeValue::Mapping(mapping) = &item.value else {
        return Err(item.wrong_type("filter", "maps with the key `function`"));
    };
    let Some(function) = mapping.get("function") else {
        return Err(invalid(
            item,
            "a filter needs the key `function`".to_owned(),
        ));
    };
    let arguments = mapping
        .iter()
        .filter(|(key, ..)| !matches!(*key, "function" | "filter_fn"))
        .map(|(key, _, value)| (key.to_owned(), value.to_json()));
    Ok(FilterSpec {
        function: filter_function(function, mapping, hooks)?,
        arguments: arguments.collect(),
    })
}

fn filter_function(
    node: &Node,
    step: &Mapping,
    hooks: &[PythonHook],
) -> Result<FilterFunction, TaskError> {
    if let Some(class) = python(node) {
        return Ok(FilterFunction::Class(class));
    }
    let Some(name) = node.as_str() else {
        return Err(node.wrong_type("function", "the name of a filter"));
    };
    if name == "custom" {
        return match step.get("filter_fn").and_then(python) {
            Some(function) => Ok(FilterFunction::Custom(function)),
            None => Err(invalid(
                node,
                "the filter `custom` needs `filter_fn: !function`".to_owned(),
            )),
        };
    }
    if FILTERS.contains(&name) {
        return Ok(FilterFunction::Named(name.to_owned()));
    }
    let hint = harness_spelling::hint(name, FILTERS);
    match hooks.first().and_then(|hook| hook.function.beside(name)) {
        Some(class) if hint.is_empty() => Ok(FilterFunction::Class(class)),
        _ => Err(invalid(node, format!("unknown filter `{name}`{hint}"))),
    }
}
