//! The seam for Python: what a bridge must answer so that tasks with `!function` values run. Runs no Python itself.

use std::sync::Arc;

use harness_data::Document;
use serde_json::{Map, Value};

use crate::TaskError;
use crate::spec::{PythonFunction, PythonHook, TaskSpec};

/// A bridge's answer, or in words why there is none (Python's exception, say).
pub type HookResult<T> = Result<T, String>;

/// Calls the Python functions of a task; one method a kind of call. Values cross as JSON: Python's tuples as lists.
pub trait Hooks: Send + Sync {
    /// `custom_dataset`: the rows of every split, from `metadata` and `dataset_kwargs`.
    fn dataset(
        &self,
        function: &PythonFunction,
        arguments: &Map<String, Value>,
    ) -> HookResult<Map<String, Value>>;

    /// `process_docs`: rows from the rows of a split; there may be fewer or more of them.
    fn process_docs(
        &self,
        function: &PythonFunction,
        documents: &[Document],
    ) -> HookResult<Vec<Document>>;

    /// `fewshot_config.samples`.
    fn samples(&self, function: &PythonFunction) -> HookResult<Vec<Document>>;

    /// A `doc_to_*`: text, choice index or list.
    fn field(&self, function: &PythonFunction, document: &Document) -> HookResult<Value>;

    /// `process_results`: the document's values by name, from one filtered response per request.
    fn process_results(
        &self,
        function: &PythonFunction,
        document: &Document,
        results: &[Value],
    ) -> HookResult<Map<String, Value>>;

    /// A metric: a value, or several by name, from one target and one filtered response; `options` are the other keys of
    /// the item of `metric_list`.
    fn metric(
        &self,
        function: &PythonFunction,
        target: &Value,
        response: &Value,
        options: &Map<String, Value>,
    ) -> HookResult<Value>;

    /// An aggregation: one number from the documents' values.
    fn aggregate(&self, function: &PythonFunction, values: &[Value]) -> HookResult<f64>;

    /// A filter class, made with the step's `arguments`: for every request what takes the place of its responses.
    fn filter_class(
        &self,
        class: &PythonFunction,
        arguments: &Map<String, Value>,
        responses: &[Value],
        documents: &[Document],
    ) -> HookResult<Vec<Value>>;

    /// The `filter_fn` of the filter `custom`: for every request what takes the place of its responses.
    fn filter_function(
        &self,
        function: &PythonFunction,
        responses: &[Value],
        documents: &[Document],
    ) -> HookResult<Vec<Value>>;
}

/// A task's way to its Python functions, if it has one.
#[derive(Clone)]
pub(crate) struct Bridge {
    task: String,
    functions: Vec<PythonHook>,
    hooks: Option<Arc<dyn Hooks>>,
}

impl Bridge {
    pub(crate) fn new(spec: &TaskSpec, hooks: Option<Arc<dyn Hooks>>) -> Self {
        Self {
            task: spec.task.clone(),
            functions: spec.python_hooks.clone(),
            hooks,
        }
    }

    /// The task's name.
    pub(crate) fn task(&self) -> &str {
        &self.task
    }

    /// Refuses a task with Python functions where there is no bridge to them.
    pub(crate) fn require(&self) -> Result<(), TaskError> {
        match (self.functions.first(), &self.hooks) {
            (Some(hook), None) => Err(self.absent(&hook.function)),
            _ => Ok(()),
        }
    }

    /// Calls a function; errors name task and function.
    pub(crate) fn call<T>(
        &self,
        function: &PythonFunction,
        call: impl FnOnce(&dyn Hooks) -> HookResult<T>,
    ) -> Result<T, TaskError> {
        let Some(hooks) = &self.hooks else {
            return Err(self.absent(function));
        };
        call(hooks.as_ref()).map_err(|message| TaskError::HookFailed {
            at: function.at.clone(),
            task: self.task.clone(),
            hook: function.name.clone(),
            message,
        })
    }

    fn absent(&self, function: &PythonFunction) -> TaskError {
        let known = self
            .functions
            .iter()
            .find(|hook| hook.function == *function);
        TaskError::PythonHook {
            at: function.at.clone(),
            task: self.task.clone(),
            key: known.map(|hook| hook.key.clone()).unwrap_or_default(),
            hook: function.name.clone(),
        }
    }
}
