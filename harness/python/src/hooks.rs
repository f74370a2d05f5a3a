//! A task's Python functions, called in a process that starts with the first call. Refuses answers of the wrong form.

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use harness_data::Document;
use harness_task::{HookResult, Hooks, PythonFunction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::PythonSettings;
use crate::error::PythonError;
use crate::process::Process;

/// How much of an answer that is no answer is shown, in characters.
const SHOWN: usize = 200;

/// Calls Python functions one at a time, in one process for all tasks, which ends with this value.
///
/// A module is loaded once, so its global state lasts from call to call, as within lm-eval. Where a call stops the process (a
/// time limit, `os._exit`), the next call starts another.
pub struct PythonHooks {
    settings: PythonSettings,
    process: Mutex<Option<Process>>,
}

/// One line to the driver.
#[derive(Serialize)]
struct Call<'a> {
    kind: &'a str,
    function: &'a str,
    yaml: &'a Path,
    parameters: Parameters<'a>,
}

/// The parameters of the driver's functions, by name; each kind of call has some of them.
#[derive(Default, Serialize)]
struct Parameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<&'a [Document]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    responses: Option<&'a [Value]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<&'a [Value]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a [Value]>,
}

/// One line from the driver.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer<T> {
    Value(T),
    Error(String),
}

impl PythonHooks {
    /// Starts nothing yet.
    pub fn new(settings: PythonSettings) -> Self {
        Self {
            settings,
            process: Mutex::new(None),
        }
    }

    /// With the Python that `HARNESS_PYTHON` names, or `python3`.
    pub fn from_environment() -> Self {
        Self::new(PythonSettings::from_environment())
    }

    fn call<T: DeserializeOwned>(
        &self,
        kind: &str,
        function: &PythonFunction,
        parameters: Parameters<'_>,
    ) -> HookResult<T> {
        let call = Call {
            kind,
            function: &function.name,
            yaml: &function.at.file,
            parameters,
        };
        self.answered(&call).map_err(|error| error.to_string())
    }

    fn answered<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, PythonError> {
        let call = serde_json::to_vec(call).map_err(PythonError::Call)?;
        let mut held = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let mut process = match held.take() {
            Some(process) => process,
            None => Process::start(&self.settings)?,
        };
        let line = process.exchange(call)?;
        match serde_json::from_slice(&line) {
            Ok(Answer::Value(value)) => {
                *held = Some(process);
                Ok(value)
            }
            Ok(Answer::Error(message)) => {
                let written = process.tail.written();
                *held = Some(process);
                Err(PythonError::Function { message, written })
            }
            Err(source) => Err(PythonError::Answer {
                source,
                answer: String::from_utf8_lossy(&line).chars().take(SHOWN).collect(),
                written: process.tail.written(),
            }),
        }
    }
}

impl fmt::Debug for PythonHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonHooks")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

macro_rules! parameters {
    ($($name:ident),*) => { Parameters { $($name: Some($name),)* ..Parameters::default() } };
}

impl Hooks for PythonHooks {
    fn dataset(
        &self,
        function: &PythonFunction,
        arguments: &Map<String, Value>,
    ) -> HookResult<Map<String, Value>> {
        self.call("dataset", function, parameters!(arguments))
    }

    fn process_docs(
        &self,
        function: &PythonFunction,
        documents: &[Document],
    ) -> HookResult<Vec<Document>> {
        self.call("process_docs", function, parameters!(documents))
    }

    fn samples(&self, function: &PythonFunction) -> HookResult<Vec<Document>> {
        self.call("samples", function, Parameters::default())
    }

    fn field(&self, function: &PythonFunction, document: &Document) -> HookResult<Value> {
        self.call("field", function, parameters!(document))
    }

    fn process_results(
        &self,
        function: &PythonFunction,
        document: &Document,
        results: &[Value],
    ) -> HookResult<Map<String, Value>> {
        self.call("process_results", function, parameters!(document, results))
    }

    fn metric(
        &self,
        function: &PythonFunction,
        target: &Value,
        response: &Value,
        options: &Map<String, Value>,
    ) -> HookResult<Value> {
        let parameters = parameters!(target, response, options);
        self.call("metric", function, parameters)
    }

    fn aggregate(&self, function: &PythonFunction, values: &[Value]) -> HookResult<f64> {
        self.call("aggregate", function, parameters!(values))
    }

    fn filter_class(
        &self,
        class: &PythonFunction,
        arguments: &Map<String, Value>,
        responses: &[Value],
        documents: &[Document],
    ) -> HookResult<Vec<Value>> {
        let parameters = parameters!(arguments, responses, documents);
        self.call("filter_class", class, parameters)
    }

    fn filter_function(
        &self,
        function: &PythonFunction,
        responses: &[Value],
        documents: &[Document],
    ) -> HookResult<Vec<Value>> {
        let parameters = parameters!(responses, documents);
        self.call("filter_function", function, parameters)
    }
}
