//! `fewshot_config`: read, with what it inherits from the task; serializes to the form of lm-eval's results, where every
//! key is written. Refuses samplers that do not exist.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use serde_json::{Map, Value};

use super::fields::{one_of, present, source, text};
use super::function::{Function, PythonFunction, function, python};
use super::{FieldSource, keys};
use crate::TaskError;
use crate::native::Slot;
use crate::yaml::{Mapping, Node, NodeValue};

/// How few-shot examples are drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Drawn anew for every document by Python's `random.sample`.
    Default,
    /// The first ones of the pool.
    FirstN,
    /// A Python class; refused when the task is loaded.
    #[serde(untagged)]
    Python(PythonFunction),
}

/// A pool of examples that is written into the YAML.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Samples {
    /// The examples.
    Rows(Vec<Map<String, Value>>),
    /// A function that gives them.
    Python(PythonFunction),
}

/// `fewshot_config`, with what it inherits from the task filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct FewshotSpec {
    /// How examples are drawn.
    pub sampler: Sampler,
    /// Split of the pool.
    pub split: Option<String>,
    /// What is done to the rows of that split.
    pub process_docs: Option<Function>,
    /// Inert, as upstream.
    pub fewshot_indices: Option<Value>,
    /// A pool written into the YAML; `split` wins over it.
    pub samples: Option<Samples>,
    /// Prompt of an example.
    pub doc_to_text: FieldSource,
    /// Choices of an example.
    pub doc_to_choice: Option<FieldSource>,
    /// Answer of an example.
    pub doc_to_target: FieldSource,
    /// Start of an example's answer: a column or a template.
    pub gen_prefix: Option<String>,
    /// Between examples.
    pub fewshot_delimiter: String,
    /// Between an example's question and answer.
    pub target_delimiter: String,
}

impl FewshotSpec {
    /// Overlays the task's `fewshot_config` on what it inherits. A null takes an inherited value away, where a task can be
    /// without.
    pub(super) fn read(mapping: &Mapping, inherited: Self) -> Result<Self, TaskError> {
        let config = match present(mapping, "fewshot_config") {
            None => return Ok(inherited),
            Some(Node {
                value: NodeValue::Mapping(config),
                ..
            }) => config,
            Some(node) => return Err(node.wrong_type("fewshot_config", "a map")),
        };
        keys::check(config, &keys::FEWSHOT)?;
        let inherits = |key: &str| config.get(key).is_none();
        let mut spec = inherited;
        if !inherits("split") {
            spec.split = text(config, "split")?;
        }
        if !inherits("process_docs") {
            spec.process_docs = document_function(config, "process_docs")?;
        }
        if !inherits("doc_to_choice") {
            spec.doc_to_choice = source(config, "doc_to_choice")?;
        }
        if !inherits("gen_prefix") {
            spec.gen_prefix = text(config, "gen_prefix")?;
        }
        Ok(Self {
            sampler: sampler(config)?,
            fewshot_indices: present(config, "fewshot_indices").map(Node::to_json),
            samples: samples(config)?,
            doc_to_text: source(config, "doc_to_text")?.unwrap_or(spec.doc_to_text),
            doc_to_target: source(config, "doc_to_target")?.unwrap_or(spec.doc_to_target),
            fewshot_delimiter: text(config, "fewshot_delimiter")?.unwrap_or(spec.fewshot_delimiter),
            target_delimiter: text(config, "target_delimiter")?.unwrap_or(spec.target_delimiter),
            ..spec
        })
    }
}

/// A function from rows to rows.
pub(super) fn document_function(
    mapping: &Mapping,
    key: &str,
) -> Result<Option<Function>, TaskError> {
    let read = |node: &Node| match function(node, Slot::Documents)? {
        Some(function) => Ok(function),
        None => Err(node.wrong_type(key, "a function: {native: NAME} or !function")),
    };
    present(mapping, key).map(read).transpose()
}

fn sampler(config: &Mapping) -> Result<Sampler, TaskError> {
    let names = [("default", Sampler::Default), ("first_n", Sampler::FirstN)];
    match present(config, "sampler") {
        None => Ok(Sampler::Default),
        Some(node) => match python(node) {
            Some(class) => Ok(Sampler::Python(class)),
            None => one_of(node, "sampler", &names),
        },
    }
}

fn samples(config: &Mapping) -> Result<Option<Samples>, TaskError> {
    let read = |node: &Node| {
        if let Some(function) = python(node) {
            return Ok(Samples::Python(function));
        }
        let NodeValue::Sequence(items) = &node.value else {
            return Err(node.wrong_type("samples", "a list of maps"));
        };
        let sample = |item: &Node| match item.to_json() {
            Value::Object(sample) => Ok(sample),
            _ => Err(item.wrong_type("samples", "maps")),
        };
        items
            .iter()
            .map(sample)
            .collect::<Result<_, _>>()
            .map(Samples::Rows)
    };
    present(config, "samples").map(read).transpose()
}

impl Serialize for FewshotSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("FewshotConfig", 11)?;
        map.serialize_field("sampler", &self.sampler)?;
        map.serialize_field("split", &self.split)?;
        map.serialize_field("process_docs", &self.process_docs)?;
        map.serialize_field("fewshot_indices", &self.fewshot_indices)?;
        map.serialize_field("samples", &self.samples)?;
        map.serialize_field("doc_to_text", &self.doc_to_text)?;
        map.serialize_field("doc_to_choice", &self.doc_to_choice)?;
        map.serialize_field("doc_to_target", &self.doc_to_target)?;
        map.serialize_field("gen_prefix", &self.gen_prefix)?;
        map.serialize_field("fewshot_delimiter", &self.fewshot_delimiter)?;
        map.serialize_field("target_delimiter", &self.target_delimiter)?;
        map.end()
    }
}
