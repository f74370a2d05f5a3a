//! From a task's YAML map to a [`TaskSpec`]: every key is read, or refused here.

use std::path::Path;

use harness_data::{DatasetOptions, OptionError};
use serde_json::{Map, Value};

use super::fields::{count, flag, json_map, one_of, present, source, text};
use super::{FewshotSpec, FieldSource, OutputType, Sampler, TaskSpec, keys, metrics};
use crate::TaskError;
use crate::yaml::{Mapping, Node, NodeValue, Position};

/// Types the map of one task, includes already merged; `file` is the YAML file that was asked for.
///
/// # Errors
/// On unknown keys, wrong types, missing keys, Python hooks, and everything that is not implemented.
pub(crate) fn task_spec(mapping: &Mapping, file: &Path) -> Result<TaskSpec, TaskError> {
    let task = required(mapping, file, "task", text)?;
    refuse_tags(mapping, &task)?;
    keys::check(mapping, &keys::TASK)?;
    refuse_values(mapping)?;
    let output_type = output_type(mapping, file)?;
    let own = Turn::of_task(mapping, file)?;
    let fewshot_split = text(mapping, "fewshot_split")?;
    let spec = TaskSpec {
        task_alias: text(mapping, "task_alias")?,
        dataset_path: required(mapping, file, "dataset_path", text)?,
        dataset_name: text(mapping, "dataset_name")?,
        dataset_kwargs: json_map(mapping, "dataset_kwargs")?,
        training_split: text(mapping, "training_split")?,
        validation_split: text(mapping, "validation_split")?,
        test_split: text(mapping, "test_split")?,
        unsafe_code: false,
        description: text(mapping, "description")?.unwrap_or_default(),
        fewshot_config: fewshot_spec(mapping, &own, fewshot_split.as_ref())?,
        fewshot_split,
        num_fewshot: count(mapping, "num_fewshot")?,
        metric_list: metrics::metric_list(mapping, output_type)?,
        output_type,
        repeats: 1,
        should_decontaminate: flag(mapping, "should_decontaminate")?.unwrap_or(false),
        doc_to_decontamination_query: present(mapping, "doc_to_decontamination_query")
            .map(Node::to_json),
        metadata: metadata(mapping, file)?,
        dataset_options: dataset_options(mapping)?,
        file: file.to_owned(),
        doc_to_text: own.doc_to_text,
        doc_to_target: own.doc_to_target,
        doc_to_choice: own.doc_to_choice,
        target_delimiter: own.target_delimiter,
        fewshot_delimiter: own.fewshot_delimiter,
        task,
    };
    require_consistent(&spec, file)?;
    Ok(spec)
}

/// What a task and its few-shot examples both have.
struct Turn {
    doc_to_text: FieldSource,
    doc_to_target: FieldSource,
    doc_to_choice: Option<FieldSource>,
    target_delimiter: String,
    fewshot_delimiter: String,
}

impl Turn {
    fn of_task(mapping: &Mapping, file: &Path) -> Result<Self, TaskError> {
        Ok(Self {
            doc_to_text: required(mapping, file, "doc_to_text", source)?,
            doc_to_target: required(mapping, file, "doc_to_target", source)?,
            doc_to_choice: source(mapping, "doc_to_choice")?,
            target_delimiter: text(mapping, "target_delimiter")?.unwrap_or_else(|| " ".to_owned()),
            fewshot_delimiter: text(mapping, "fewshot_delimiter")?
                .unwrap_or_else(|| "\n\n".to_owned()),
        })
    }
}

fn fewshot_spec(
    mapping: &Mapping,
    own: &Turn,
    split: Option<&String>,
) -> Result<FewshotSpec, TaskError> {
    let empty = Mapping::default();
    let config = match present(mapping, "fewshot_config") {
        None => &empty,
        Some(Node {
            value: NodeValue::Mapping(config),
            ..
        }) => config,
        Some(node) => return Err(node.wrong_type("fewshot_config", "a map")),
    };
    keys::check(config, &keys::FEWSHOT)?;
    let sampler = match present(config, "sampler") {
        Some(node) => one_of(
            node,
            "sampler",
            &[("default", Sampler::Default), ("first_n", Sampler::FirstN)],
        )?,
        None => Sampler::Default,
    };
    Ok(FewshotSpec {
        sampler,
        split: text(config, "split")?.or_else(|| split.cloned()),
        samples: samples(config)?,
        doc_to_text: source(config, "doc_to_text")?.unwrap_or_else(|| own.doc_to_text.clone()),
        doc_to_choice: source(config, "doc_to_choice")?.or_else(|| own.doc_to_choice.clone()),
        doc_to_target: source(config, "doc_to_target")?
            .unwrap_or_else(|| own.doc_to_target.clone()),
        fewshot_delimiter: text(config, "fewshot_delimiter")?
            .unwrap_or_else(|| own.fewshot_delimiter.clone()),
        target_delimiter: text(config, "target_delimiter")?
            .unwrap_or_else(|| own.target_delimiter.clone()),
    })
}

fn samples(config: &Mapping) -> Result<Option<Vec<Map<String, Value>>>, TaskError> {
    let read = |node: &Node| {
        let NodeValue::Sequence(items) = &node.value else {
            return Err(node.wrong_type("samples", "a list of maps"));
        };
        let sample = |item: &Node| match item.to_json() {
            Value::Object(sample) => Ok(sample),
            _ => Err(item.wrong_type("samples", "maps")),
        };
        items.iter().map(sample).collect()
    };
    present(config, "samples").map(read).transpose()
}

fn required<T>(
    mapping: &Mapping,
    file: &Path,
    key: &str,
    read: impl Fn(&Mapping, &str) -> Result<Option<T>, TaskError>,
) -> Result<T, TaskError> {
    read(mapping, key)?.ok_or_else(|| {
        let message = format!("the key `{key}` is missing");
        TaskError::Yaml {
            at: Position::start_of(file),
            message,
        }
    })
}

/// Refuses `!function`, and tags that no loader of the format knows.
fn refuse_tags(mapping: &Mapping, task: &str) -> Result<(), TaskError> {
    for (key, _, node) in mapping.iter() {
        let Some(tagged) = node.first_tagged() else {
            continue;
        };
        let at = tagged.at.clone();
        return Err(match tagged.tag.as_deref().unwrap_or_default() {
            "!function" => TaskError::PythonHook {
                at,
                task: task.to_owned(),
                key: key.to_owned(),
                hook: tagged.as_str().unwrap_or_default().to_owned(),
            },
            unknown => TaskError::Yaml {
                at,
                message: format!("`{key}` has the unknown tag `{unknown}`"),
            },
        });
    }
    Ok(())
}

/// Values of known keys that ask for what is not implemented.
fn refuse_values(mapping: &Mapping) -> Result<(), TaskError> {
    let refuse = |key: &str, instead| match present(mapping, key) {
        Some(node) => Err(TaskError::Unsupported {
            at: node.at.clone(),
            what: format!("`{key}: {}`", node.to_json()),
            instead,
        }),
        None => Ok(()),
    };
    if flag(mapping, "unsafe_code")? == Some(true) {
        refuse("unsafe_code", "; no code is run")?;
    }
    if count(mapping, "repeats")?.is_some_and(|repeats| repeats != 1) {
        refuse("repeats", "")?;
    }
    Ok(())
}

fn output_type(mapping: &Mapping, file: &Path) -> Result<OutputType, TaskError> {
    let instead = "; supported are multiple_choice and loglikelihood";
    let Some(node) = present(mapping, "output_type") else {
        let what = "`output_type: generate_until` (the default)".to_owned();
        return Err(TaskError::Unsupported {
            at: Position::start_of(file),
            what,
            instead,
        });
    };
    if let Some(name @ ("generate_until" | "loglikelihood_rolling")) = node.as_str() {
        return Err(TaskError::Unsupported {
            at: node.at.clone(),
            what: format!("`output_type: {name}`"),
            instead,
        });
    }
    let names = [
        ("multiple_choice", OutputType::MultipleChoice),
        ("loglikelihood", OutputType::Loglikelihood),
    ];
    one_of(node, "output_type", &names)
}

/// `dataset_kwargs`; which keys there are, the data sets know.
fn dataset_options(mapping: &Mapping) -> Result<DatasetOptions, TaskError> {
    let Some(node) = present(mapping, "dataset_kwargs") else {
        return Ok(DatasetOptions::default());
    };
    let kwargs = json_map(mapping, "dataset_kwargs")?.unwrap_or_default();
    DatasetOptions::from_kwargs(&kwargs).map_err(|error| {
        let at = match &node.value {
            NodeValue::Mapping(kwargs) => kwargs
                .iter()
                .find(|(key, ..)| *key == error.key())
                .map_or(&node.at, |(_, at, _)| at),
            _ => &node.at,
        };
        let at = at.clone();
        match error {
            OptionError::Unknown { key, hint } => TaskError::UnknownKey { at, key, hint },
            error @ OptionError::Value { .. } => TaskError::Yaml {
                at,
                message: error.to_string(),
            },
        }
    })
}

/// `metadata`, with lm-eval's note of where the task is from.
fn metadata(mapping: &Mapping, file: &Path) -> Result<Map<String, Value>, TaskError> {
    let mut metadata = json_map(mapping, "metadata")?.unwrap_or_default();
    metadata.insert(
        "config_source".to_owned(),
        file.display().to_string().into(),
    );
    Ok(metadata)
}

fn require_consistent(spec: &TaskSpec, file: &Path) -> Result<(), TaskError> {
    let missing = if spec.evaluated_split().is_none() {
        "a split is needed: test_split, validation_split or training_split"
    } else if spec.output_type == OutputType::MultipleChoice && spec.doc_to_choice.is_none() {
        "output_type multiple_choice needs the key `doc_to_choice`"
    } else {
        return Ok(());
    };
    Err(TaskError::Yaml {
        at: Position::start_of(file),
        message: missing.to_owned(),
    })
}
