//! `doc_to_*` on documents: a column, a template or a literal, with lm-eval's coercions; knows nothing of prompts.

use harness_data::Document;
use minijinja::value::Serde;
use serde_json::Value;

use crate::hooks::Bridge;
use crate::native;
use crate::prose::Prose;
use crate::spec::{FieldSource, Function};
use crate::template::{self, Rendered, Template, parse_literal, python_str};
use crate::{TaskError, TaskSpec};

/// A document while it is being rendered, with the words that errors name it by.
pub(crate) struct Row<'a> {
    pub(crate) task: &'a str,
    pub(crate) bridge: &'a Bridge,
    pub(crate) document: &'a Document,
    /// Row number, with the split if it is not the evaluated one.
    pub(crate) label: String,
    columns: minijinja::Value,
}

impl<'a> Row<'a> {
    pub(crate) fn new(bridge: &'a Bridge, document: &'a Document, label: String) -> Self {
        Self {
            task: bridge.task(),
            bridge,
            document,
            label,
            columns: minijinja::Value::from(Serde(document)),
        }
    }

    pub(crate) fn error(&self, message: String) -> TaskError {
        TaskError::Document {
            task: self.task.to_owned(),
            document: self.label.clone(),
            message,
        }
    }
}

pub(crate) fn compiled(key: &'static str, text: &str, task: &str) -> Result<Template, TaskError> {
    Template::compile(text).map_err(|error| template_error(key, text, (task, None), &error))
}

pub(crate) fn rendered(
    key: &'static str,
    template: &Template,
    row: &Row<'_>,
) -> Result<Rendered, TaskError> {
    let failed = |error| {
        let document = Some(row.label.clone());
        template_error(key, template.source(), (row.task, document), &error)
    };
    template.render(&row.columns).map_err(failed)
}

/// Of a template of several lines the error shows the one that is wrong.
fn template_error(
    key: &'static str,
    text: &str,
    (task, document): (&str, Option<String>),
    error: &minijinja::Error,
) -> TaskError {
    let number = error.line().filter(|_| text.trim_end().contains('\n'));
    let line = number.and_then(|number| text.lines().nth(number - 1));
    let place = match (number, line) {
        (Some(number), Some(line)) => format!("line {number} of the template, {line:?}"),
        _ => format!("template {text:?}"),
    };
    TaskError::Template {
        task: task.to_owned(),
        key,
        document,
        message: template::words(error, text),
        place,
    }
}

/// A `doc_to_*` key whose kind is known.
pub(crate) struct Field {
    key: &'static str,
    kind: Kind,
}

enum Kind {
    Column(String),
    Template(Template),
    Literal(Value),
    Function(Function),
}

impl Field {
    /// Text that equals a column's name is that column; any other text is a template.
    pub(crate) fn compile(
        key: &'static str,
        source: &FieldSource,
        columns: &[String],
        task: &str,
    ) -> Result<Self, TaskError> {
        let kind = match source {
            FieldSource::Text(text) if columns.contains(text) => Kind::Column(text.clone()),
            FieldSource::Text(text) => Kind::Template(compiled(key, text, task)?),
            FieldSource::Index(index) => Kind::Literal((*index).into()),
            FieldSource::List(items) => Kind::Literal(items.clone().into()),
            FieldSource::Function(function) => Kind::Function(function.clone()),
        };
        Ok(Self { key, kind })
    }

    /// The raw value: a column's or literal's own, a template's text, or the list that a template of one expression gives.
    fn value(&self, row: &Row<'_>) -> Result<Value, TaskError> {
        match &self.kind {
            Kind::Literal(value) => Ok(value.clone()),
            Kind::Column(column) => match row.document.get(column) {
                Some(value) => Ok(value.clone()),
                None => Err(row.error(format!("{}: the column `{column}` is missing", self.key))),
            },
            Kind::Template(template) => match rendered(self.key, template, row)? {
                Rendered::Text(text) => Ok(text.into()),
                Rendered::List(items) => Ok(items.into()),
            },
            Kind::Function(Function::Python(function)) => row
                .bridge
                .call(function, |hooks| hooks.field(function, row.document)),
            Kind::Function(Function::Native(function)) => native::field(function, row.document)
                .map_err(|message| row.error(format!("{}: {message}", self.key))),
        }
    }

    /// A value for which a template's digits are a choice index, where there are choices.
    fn coerced(&self, row: &Row<'_>, has_choices: bool) -> Result<Value, TaskError> {
        let value = self.value(row)?;
        Ok(match (&self.kind, value) {
            (Kind::Template(_), Value::String(text)) if has_choices => {
                digits(&text).map_or(text.into(), Value::from)
            }
            (_, value) => value,
        })
    }

    /// Several texts, at least one: a list, or text that is one in Python.
    fn texts(&self, row: &Row<'_>, needs: &str) -> Result<Vec<String>, TaskError> {
        let value = match self.value(row)? {
            Value::String(text) => parse_literal(&text).unwrap_or(Value::String(text)),
            value => value,
        };
        match value {
            Value::Array(items) if !items.is_empty() => Ok(items.iter().map(python_str).collect()),
            other => Err(self.unusable(row, &other, needs)),
        }
    }

    fn unusable(&self, row: &Row<'_>, value: &Value, needs: &str) -> TaskError {
        row.error(format!(
            "{} gave {}, but {needs} is needed",
            self.key,
            python_str(value)
        ))
    }
}

/// Python's `text.isdigit()` and `int(text)`, for ASCII digits.
fn digits(text: &str) -> Option<u64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { text.parse().ok() } else { None }
}

/// What `doc_to_text` gave.
pub(crate) enum Question {
    Text(String),
    /// Index of the choice that stands in for the question, as in `winogrande`.
    Choice(usize),
}

/// The fields that make a question and its answer.
pub(crate) struct Turn {
    text: Field,
    target: Field,
    choice: Option<Field>,
    gen_prefix: Prose,
}

impl Turn {
    /// The fields of documents that are scored or trained on.
    pub(crate) fn of_task(spec: &TaskSpec, columns: &[String]) -> Result<Self, TaskError> {
        Self::compile(
            &spec.task,
            columns,
            (&spec.doc_to_text, &spec.doc_to_target),
            spec.doc_to_choice.as_ref(),
            spec.gen_prefix.as_deref(),
        )
    }

    /// The fields of few-shot examples; `columns` are those of the evaluated split, as upstream.
    pub(crate) fn of_fewshot(spec: &TaskSpec, columns: &[String]) -> Result<Self, TaskError> {
        let config = &spec.fewshot_config;
        Self::compile(
            &spec.task,
            columns,
            (&config.doc_to_text, &config.doc_to_target),
            config.doc_to_choice.as_ref(),
            config.gen_prefix.as_deref(),
        )
    }

    fn compile(
        task: &str,
        columns: &[String],
        (text, target): (&FieldSource, &FieldSource),
        choice: Option<&FieldSource>,
        gen_prefix: Option<&str>,
    ) -> Result<Self, TaskError> {
        Ok(Self {
            gen_prefix: Prose::compile("gen_prefix", gen_prefix, task)?,
            text: Field::compile("doc_to_text", text, columns, task)?,
            target: Field::compile("doc_to_target", target, columns, task)?,
            choice: choice
                .map(|choice| Field::compile("doc_to_choice", choice, columns, task))
                .transpose()?,
        })
    }

    pub(crate) fn question(&self, row: &Row<'_>) -> Result<Question, TaskError> {
        match self.text.coerced(row, self.choice.is_some())? {
            Value::String(text) => Ok(Question::Text(text)),
            Value::Number(index) if self.choice.is_some() && index.is_u64() => {
                Ok(Question::Choice(index.as_u64().unwrap_or_default() as usize))
            }
            other => Err(self.text.unusable(row, &other, "text")),
        }
    }

    /// The question as text, where a choice stands in for it: that choice.
    pub(crate) fn question_text(&self, row: &Row<'_>) -> Result<String, TaskError> {
        match self.question(row)? {
            Question::Text(text) => Ok(text),
            Question::Choice(index) => self.choice_at(row, index as u64),
        }
    }

    /// The gold answer: choice index, text, or a list of either.
    pub(crate) fn target(&self, row: &Row<'_>) -> Result<Value, TaskError> {
        let value = self.target.coerced(row, self.choice.is_some())?;
        match value {
            Value::String(text) if matches!(self.target.kind, Kind::Template(_)) => {
                Ok(list_literal(text))
            }
            value => Ok(value),
        }
    }

    /// The gold answer as text: the choice of an index, the first of a list.
    pub(crate) fn answer_text(&self, row: &Row<'_>) -> Result<String, TaskError> {
        let target = self.target(row)?;
        let first = match &target {
            Value::Array(items) => items.first().unwrap_or(&Value::Null),
            other => other,
        };
        self.answer(row, &target, first)
    }

    /// Every gold answer as text.
    pub(crate) fn answer_texts(&self, row: &Row<'_>) -> Result<Vec<String>, TaskError> {
        let target = self.target(row)?;
        match &target {
            Value::Array(items) => items
                .iter()
                .map(|item| self.answer(row, &target, item))
                .collect(),
            only => self.answer(row, &target, only).map(|text| vec![text]),
        }
    }

    fn answer(&self, row: &Row<'_>, target: &Value, item: &Value) -> Result<String, TaskError> {
        match item {
            Value::String(text) => Ok(text.clone()),
            Value::Number(index) if self.choice.is_some() && index.is_u64() => {
                self.choice_at(row, index.as_u64().unwrap_or_default())
            }
            _ => Err(self
                .target
                .unusable(row, target, "text (or the index of a choice)")),
        }
    }

    /// The start of the answer, or nothing.
    pub(crate) fn gen_prefix(&self, row: &Row<'_>) -> Result<String, TaskError> {
        self.gen_prefix.text(row)
    }

    /// Whether there are choices.
    pub(crate) fn has_choices(&self) -> bool {
        self.choice.is_some()
    }

    /// The choices, without delimiter; none where the task has none.
    pub(crate) fn choices(&self, row: &Row<'_>) -> Result<Vec<String>, TaskError> {
        match &self.choice {
            Some(choice) => choice.texts(row, "a list of choices"),
            None => Ok(Vec::new()),
        }
    }

    fn choice_at(&self, row: &Row<'_>, index: u64) -> Result<String, TaskError> {
        let mut choices = self.choices(row)?;
        if index as usize >= choices.len() {
            return Err(row.error(format!(
                "choice {index} is asked for, but there are only {}",
                choices.len()
            )));
        }
        Ok(choices.swap_remove(index as usize))
    }
}

/// Text in brackets that is a Python list becomes one; other text stays.
fn list_literal(text: String) -> Value {
    let bracketed = text.starts_with('[') && text.ends_with(']');
    match bracketed.then(|| parse_literal(&text)).flatten() {
        Some(list) => list,
        None => Value::String(text),
    }
}

/// The other answers that a right one is compared with.
pub(crate) struct Rivals {
    paraphrase: Option<Field>,
    wrong: Option<Field>,
}

impl Rivals {
    pub(crate) fn of_task(spec: &TaskSpec, columns: &[String]) -> Result<Self, TaskError> {
        let compile = |key, source: &Option<FieldSource>| {
            let source = source.as_ref();
            let field = source.map(|source| Field::compile(key, source, columns, &spec.task));
            field.transpose()
        };
        Ok(Self {
            paraphrase: compile("doc_to_paraphrase", &spec.doc_to_paraphrase)?,
            wrong: compile("doc_to_wrong", &spec.doc_to_wrong)?,
        })
    }

    /// The right answer in other words.
    pub(crate) fn paraphrase(&self, row: &Row<'_>) -> Result<String, TaskError> {
        let missing = || row.error("the key `doc_to_paraphrase` is missing".to_owned());
        let field = self.paraphrase.as_ref().ok_or_else(missing)?;
        match field.value(row)? {
            Value::String(text) => Ok(text),
            other => Err(field.unusable(row, &other, "text")),
        }
    }

    /// The wrong answers, at least one.
    pub(crate) fn wrong(&self, row: &Row<'_>) -> Result<Vec<String>, TaskError> {
        let missing = || row.error("the key `doc_to_wrong` is missing".to_owned());
        let field = self.wrong.as_ref().ok_or_else(missing)?;
        field.texts(row, "a list of wrong answers")
    }
}
