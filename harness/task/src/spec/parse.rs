//! From a task's YAML map to a [`TaskSpec`]: every key is read, or refused here.

use std::path::Path;

use harness_data::{DatasetOptions, OptionError};
use serde_json::{Map, Value};

use super::fewshot::document_function;
use super::fields::{count, flag, invalid, json_map, one_of, present, source, text};
use super::filters::filter_list;
use super::function::{Function, PythonFunction, PythonHook, function, python, python_hooks};
use super::{
    AnswerNeeds, FewshotSpec, FieldSource, OutputType, Sampler, TaskSpec, generation, keys, metrics,
};
use crate::TaskError;
use crate::native::Slot;
use crate::yaml::{Mapping, Node, NodeValue, Position};

/// Types the map of one task, includes already merged; `file` is the YAML file that was asked for. Python functions are
/// kept as data.
///
/// # Errors
/// On unknown keys, wrong types, missing keys, and everything that is not implemented.
pub(crate) fn task_spec(mapping: &Mapping, file: &Path) -> Result<TaskSpec, TaskError> {
    let python_hooks = task_hooks(mapping)?;
    keys::check(mapping, &keys::TASK)?;
    let python_class = python_function(mapping, "class")?;
    let custom_dataset = python_function(mapping, "custom_dataset")?;
    let reader = Reader {
        mapping,
        file,
        // A class brings its own data and prompts, a function its own data.
        needs_prompts: python_class.is_none(),
        needs_data: python_class.is_none() && custom_dataset.is_none(),
    };
    let output_type = output_type(mapping)?;
    let doc_to_text = reader.field("doc_to_text")?;
    let doc_to_target = reader.field("doc_to_target")?;
    let doc_to_choice = source(mapping, "doc_to_choice")?;
    let fewshot_config = reader.fewshot(&doc_to_text, &doc_to_target, doc_to_choice.as_ref())?;
    let spec = TaskSpec {
        task: required(mapping, file, "task", text)?,
        task_alias: text(mapping, "task_alias")?,
        dataset_path: reader.dataset_path()?,
        dataset_name: text(mapping, "dataset_name")?,
        dataset_kwargs: json_map(mapping, "dataset_kwargs")?,
        training_split: text(mapping, "training_split")?,
        validation_split: text(mapping, "validation_split")?,
        test_split: text(mapping, "test_split")?,
        fewshot_split: text(mapping, "fewshot_split")?,
        process_docs: document_function(mapping, "process_docs")?,
        doc_to_image: present(mapping, "doc_to_image").map(Node::to_json),
        doc_to_audio: present(mapping, "doc_to_audio").map(Node::to_json),
        unsafe_code: flag(mapping, "unsafe_code")?.unwrap_or(false),
        process_results: results_function(mapping)?,
        description: text(mapping, "description")?.unwrap_or_default(),
        target_delimiter: reader.target_delimiter()?,
        fewshot_delimiter: reader.fewshot_delimiter()?,
        num_fewshot: count(mapping, "num_fewshot")?,
        metric_list: metrics::metric_list(mapping, output_type)?,
        generation_kwargs: reader.generation_kwargs(output_type)?,
        repeats: repeats(mapping)?,
        filter_list: present(mapping, "filter_list")
            .map(|node| filter_list(node, &python_hooks))
            .transpose()?,
        should_decontaminate: flag(mapping, "should_decontaminate")?.unwrap_or(false),
        doc_to_decontamination_query: present(mapping, keys::INERT_QUERY).map(Node::to_json),
        gen_prefix: text(mapping, "gen_prefix")?,
        metadata: metadata(mapping, file)?,
        dataset_options: dataset_options(mapping)?,
        file: file.to_owned(),
        python_hooks,
        python_class,
        custom_dataset,
        output_type,
        doc_to_text,
        doc_to_target,
        doc_to_choice,
        doc_to_paraphrase: source(mapping, "doc_to_paraphrase")?,
        doc_to_wrong: source(mapping, "doc_to_wrong")?,
        fewshot_config,
    };
    require_consistent(&spec, file)?;
    Ok(spec)
}

/// The keys that a task must have, unless Python brings what they say.
struct Reader<'a> {
    mapping: &'a Mapping,
    file: &'a Path,
    needs_prompts: bool,
    needs_data: bool,
}

impl Reader<'_> {
    fn field(&self, key: &str) -> Result<FieldSource, TaskError> {
        if self.needs_prompts {
            return required(self.mapping, self.file, key, source);
        }
        Ok(source(self.mapping, key)?.unwrap_or(FieldSource::Text(String::new())))
    }

    fn dataset_path(&self) -> Result<String, TaskError> {
        if self.needs_data {
            return required(self.mapping, self.file, "dataset_path", text);
        }
        Ok(text(self.mapping, "dataset_path")?.unwrap_or_default())
    }

    fn target_delimiter(&self) -> Result<String, TaskError> {
        Ok(text(self.mapping, "target_delimiter")?.unwrap_or_else(|| " ".to_owned()))
    }

    fn fewshot_delimiter(&self) -> Result<String, TaskError> {
        Ok(text(self.mapping, "fewshot_delimiter")?.unwrap_or_else(|| "\n\n".to_owned()))
    }

    fn generation_kwargs(
        &self,
        output_type: OutputType,
    ) -> Result<Option<Map<String, Value>>, TaskError> {
        let given = json_map(self.mapping, "generation_kwargs")?;
        if output_type == OutputType::Answer {
            return Ok(Some(generation::of_answers(given)));
        }
        if given.is_none() && output_type != OutputType::GenerateUntil {
            return Ok(None);
        }
        let delimiter = self.fewshot_delimiter()?;
        Ok(Some(generation::with_defaults(given, &delimiter)))
    }

    fn fewshot(
        &self,
        doc_to_text: &FieldSource,
        doc_to_target: &FieldSource,
        doc_to_choice: Option<&FieldSource>,
    ) -> Result<FewshotSpec, TaskError> {
        let inherited = FewshotSpec {
            sampler: Sampler::Default,
            split: text(self.mapping, "fewshot_split")?,
            process_docs: document_function(self.mapping, "process_docs")?,
            fewshot_indices: None,
            samples: None,
            doc_to_text: doc_to_text.clone(),
            doc_to_target: doc_to_target.clone(),
            doc_to_choice: doc_to_choice.cloned(),
            gen_prefix: text(self.mapping, "gen_prefix")?,
            fewshot_delimiter: self.fewshot_delimiter()?,
            target_delimiter: self.target_delimiter()?,
        };
        FewshotSpec::read(self.mapping, inherited)
    }
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

/// The Python functions of a task; keys that take none refuse them.
fn task_hooks(mapping: &Mapping) -> Result<Vec<PythonHook>, TaskError> {
    let mut hooks = python_hooks(mapping)?;
    if let Some(hook) = hooks
        .iter()
        .find(|hook| !keys::WITH_FUNCTIONS.contains(&hook.key.as_str()))
    {
        let message = format!("`{}` takes no Python function", hook.key);
        let at = hook.function.at.clone();
        return Err(TaskError::Yaml { at, message });
    }
    hooks.retain(|hook| hook.key != keys::INERT_QUERY);
    Ok(hooks)
}

fn python_function(mapping: &Mapping, key: &str) -> Result<Option<PythonFunction>, TaskError> {
    let read = |node: &Node| python(node).ok_or_else(|| node.wrong_type(key, "a !function"));
    present(mapping, key).map(read).transpose()
}

fn results_function(mapping: &Mapping) -> Result<Option<Function>, TaskError> {
    let read = |node: &Node| match function(node, Slot::Results)? {
        Some(function) => Ok(function),
        None => Err(node.wrong_type("process_results", "a function: {native: NAME} or !function")),
    };
    present(mapping, "process_results").map(read).transpose()
}

fn repeats(mapping: &Mapping) -> Result<usize, TaskError> {
    match (count(mapping, "repeats")?, mapping.get("repeats")) {
        (Some(0), Some(node)) => Err(invalid(node, "`repeats` takes a number from 1".to_owned())),
        (repeats, _) => Ok(repeats.unwrap_or(1)),
    }
}

fn output_type(mapping: &Mapping) -> Result<OutputType, TaskError> {
    let names = [
        ("multiple_choice", OutputType::MultipleChoice),
        ("loglikelihood", OutputType::Loglikelihood),
        ("loglikelihood_rolling", OutputType::LoglikelihoodRolling),
        ("generate_until", OutputType::GenerateUntil),
        ("answer", OutputType::Answer),
    ];
    match present(mapping, "output_type") {
        Some(node) => one_of(node, "output_type", &names),
        None => Ok(OutputType::GenerateUntil),
    }
}

/// `dataset_kwargs`; which keys there are, the data sets know. With a `custom_dataset` they are that function's arguments.
fn dataset_options(mapping: &Mapping) -> Result<DatasetOptions, TaskError> {
    let node = match present(mapping, "dataset_kwargs") {
        Some(node) if present(mapping, "custom_dataset").is_none() => node,
        _ => return Ok(DatasetOptions::default()),
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
    if spec.python_class.is_some() {
        return Ok(());
    }
    let missing = if spec.evaluated_split().is_none() {
        "a split is needed: test_split, validation_split or training_split"
    } else if spec.output_type == OutputType::MultipleChoice && spec.doc_to_choice.is_none() {
        "output_type multiple_choice needs the key `doc_to_choice`"
    } else if spec.output_type == OutputType::Answer {
        match of_answers(spec) {
            Some(missing) => missing,
            None => return Ok(()),
        }
    } else {
        return Ok(());
    };
    Err(TaskError::Yaml {
        at: Position::start_of(file),
        message: missing.to_owned(),
    })
}

/// What an `answer` task lacks, or has too much of.
fn of_answers(spec: &TaskSpec) -> Option<&'static str> {
    let needs = AnswerNeeds::of(spec);
    if spec.process_results.is_some() {
        Some("output_type answer has metrics of its own: leave `process_results` out")
    } else if spec.filter_list.is_some() {
        Some(
            "output_type answer takes no `filter_list`: end texts with `until` in generation_kwargs",
        )
    } else if needs.wrong && spec.doc_to_wrong.is_none() {
        Some("the metrics truth_ratio and probability_w_options need the key `doc_to_wrong`")
    } else {
        None
    }
}
