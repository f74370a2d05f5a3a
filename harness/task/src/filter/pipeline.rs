//! A pipeline: filters one after the other over the responses of all of a task's requests. Its name is that of its scores.

use harness_data::Document;
use serde_json::{Map, Value};

use super::{Filter, Responses};
use crate::TaskError;
use crate::hooks::{Bridge, HookResult, Hooks};
use crate::spec::{FilterFunction, PipelineSpec, PythonFunction};

/// A compiled item of `filter_list`.
pub(crate) struct Pipeline {
    pub(crate) name: String,
    steps: Vec<Step>,
}

enum Step {
    Native(Box<Filter>),
    Class(PythonFunction, Map<String, Value>),
    Custom(PythonFunction),
}

/// The responses of one request, and the document it is about.
pub(crate) struct Answered<'a> {
    pub(crate) document: &'a Document,
    /// Row number, for errors.
    pub(crate) doc_id: usize,
    pub(crate) responses: Vec<Value>,
}

impl Pipeline {
    /// Reads the filters' arguments and compiles their patterns.
    pub(crate) fn compile(spec: &PipelineSpec, task: &str) -> Result<Self, TaskError> {
        let steps = spec.filter.iter().map(|step| match &step.function {
            FilterFunction::Named(name) => {
                Filter::compile(name, step).map(|filter| Step::Native(Box::new(filter)))
            }
            FilterFunction::Class(class) => Ok(Step::Class(class.clone(), step.arguments.clone())),
            FilterFunction::Custom(function) => Ok(Step::Custom(function.clone())),
        });
        let steps = steps
            .collect::<Result<_, _>>()
            .map_err(|message| TaskError::Task {
                task: task.to_owned(),
                message: format!("filter_list `{}`: {message}", spec.name),
            })?;
        Ok(Self {
            name: spec.name.clone(),
            steps,
        })
    }

    /// What is scored of every request.
    pub(crate) fn apply(
        &self,
        answered: &[Answered<'_>],
        bridge: &Bridge,
    ) -> Result<Vec<Value>, TaskError> {
        let mut responses: Vec<Responses> = answered
            .iter()
            .map(|request| Responses::Each(request.responses.clone()))
            .collect();
        for step in &self.steps {
            responses = match step {
                Step::Native(filter) => self.native(filter, responses, answered, bridge.task())?,
                Step::Class(class, arguments) => python(
                    class,
                    responses,
                    answered,
                    bridge,
                    |hooks, values, documents| {
                        hooks.filter_class(class, arguments, values, documents)
                    },
                )?,
                Step::Custom(function) => python(
                    function,
                    responses,
                    answered,
                    bridge,
                    |hooks, values, documents| hooks.filter_function(function, values, documents),
                )?,
            };
        }
        Ok(responses.into_iter().map(Responses::into_value).collect())
    }

    fn native(
        &self,
        filter: &Filter,
        responses: Vec<Responses>,
        answered: &[Answered<'_>],
        task: &str,
    ) -> Result<Vec<Responses>, TaskError> {
        let apply = |(responses, request): (Responses, &Answered<'_>)| {
            filter
                .apply(responses, request.document)
                .map_err(|message| TaskError::Document {
                    task: task.to_owned(),
                    document: request.doc_id.to_string(),
                    message: format!("filter pipeline `{}`: {message}", self.name),
                })
        };
        responses.into_iter().zip(answered).map(apply).collect()
    }
}

/// Sends all responses through a Python filter.
fn python(
    function: &PythonFunction,
    responses: Vec<Responses>,
    answered: &[Answered<'_>],
    bridge: &Bridge,
    call: impl Fn(&dyn Hooks, &[Value], &[Document]) -> HookResult<Vec<Value>>,
) -> Result<Vec<Responses>, TaskError> {
    let values: Vec<Value> = responses.into_iter().map(Responses::into_value).collect();
    let documents: Vec<Document> = answered
        .iter()
        .map(|request| request.document.clone())
        .collect();
    let filtered = bridge.call(function, |hooks| {
        let filtered = call(hooks, &values, &documents)?;
        if filtered.len() == values.len() {
            return Ok(filtered);
        }
        let (given, wanted) = (filtered.len(), values.len());
        Err(format!("it gave {given} answers for {wanted} requests"))
    })?;
    Ok(filtered.into_iter().map(from_python).collect())
}

/// A list that a Python filter gives is the responses; anything else is the one that is scored.
fn from_python(value: Value) -> Responses {
    match value {
        Value::Array(responses) => Responses::Each(responses),
        one => Responses::One(one),
    }
}
