//! A task's rows: the split that is scored and the pool of few-shot examples, after `process_docs`. Refuses splits
//! without rows.

use harness_data::{DataSource, Document, Split};
use serde_json::Value;

use crate::hooks::Bridge;
use crate::native;
use crate::spec::{Function, PythonFunction, Samples};
use crate::{TaskError, TaskSpec};

/// Where a task's rows come from.
pub(crate) struct Dataset<'a> {
    pub(crate) spec: &'a TaskSpec,
    pub(crate) source: &'a DataSource,
    pub(crate) bridge: &'a Bridge,
}

/// Documents that few-shot examples come from.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) documents: Vec<Document>,
}

impl Dataset<'_> {
    /// The split that is scored, with its columns after processing.
    pub(crate) fn evaluated(&self) -> Result<Split, TaskError> {
        let Some(split) = self.spec.evaluated_split() else {
            return Err(self.error("the task names no split".to_owned()));
        };
        let loaded = self.split(split, self.spec.process_docs.as_ref())?;
        if loaded.documents.is_empty() {
            let path = &self.spec.dataset_path;
            return Err(self.error(format!("split `{split}` of `{path}` has no documents")));
        }
        Ok(loaded)
    }

    /// The few-shot split, written samples, or the training, validation or test split, whichever is first there.
    pub(crate) fn pool(&self) -> Result<Pool, TaskError> {
        let config = &self.spec.fewshot_config;
        if let Some(split) = &config.split {
            return self.pool_of(split, config.process_docs.as_ref());
        }
        if let Some(samples) = &config.samples {
            return Ok(Pool {
                name: "fewshot_config.samples".to_owned(),
                documents: self.samples(samples)?,
            });
        }
        let spec = self.spec;
        let own = [
            &spec.training_split,
            &spec.validation_split,
            &spec.test_split,
        ];
        if let Some(split) = own.into_iter().flatten().next() {
            return self.pool_of(split, spec.process_docs.as_ref());
        }
        let message = "there is no split to take few-shot examples from";
        Err(self.error(message.to_owned()))
    }

    fn pool_of(&self, split: &str, process: Option<&Function>) -> Result<Pool, TaskError> {
        Ok(Pool {
            name: format!("split `{split}`"),
            documents: self.split(split, process)?.documents,
        })
    }

    fn samples(&self, samples: &Samples) -> Result<Vec<Document>, TaskError> {
        match samples {
            Samples::Rows(rows) => Ok(rows.clone()),
            Samples::Python(function) => {
                self.bridge.call(function, |hooks| hooks.samples(function))
            }
        }
    }

    fn split(&self, split: &str, process: Option<&Function>) -> Result<Split, TaskError> {
        let loaded = match &self.spec.custom_dataset {
            Some(function) => self.custom(function, split)?,
            None => self
                .source
                .load(&self.spec.dataset(), split)
                .map_err(|source| TaskError::Data {
                    task: self.spec.task.clone(),
                    source: Box::new(source),
                })?,
        };
        let Some(process) = process else {
            return Ok(loaded);
        };
        let documents = match process {
            Function::Native(function) => native::process_documents(function, loaded.documents)
                .map_err(|message| {
                    self.error(format!("process_docs, split `{split}`: {message}"))
                })?,
            Function::Python(function) => self.bridge.call(function, |hooks| {
                hooks.process_docs(function, &loaded.documents)
            })?,
        };
        Ok(of_documents(documents))
    }

    fn custom(&self, function: &PythonFunction, split: &str) -> Result<Split, TaskError> {
        let mut arguments = self.spec.metadata.clone();
        arguments.extend(self.spec.dataset_kwargs.clone().unwrap_or_default());
        let rows = self.bridge.call(function, |hooks| {
            let mut splits = hooks.dataset(function, &arguments)?;
            let rows = splits.remove(split).and_then(|rows| match rows {
                Value::Array(rows) => rows.into_iter().map(into_document).collect(),
                _ => None,
            });
            rows.ok_or_else(|| format!("it gave no list of rows as split `{split}`"))
        })?;
        Ok(of_documents(rows))
    }

    fn error(&self, message: String) -> TaskError {
        TaskError::Task {
            task: self.spec.task.clone(),
            message,
        }
    }
}

fn into_document(row: Value) -> Option<Document> {
    match row {
        Value::Object(row) => Some(row),
        _ => None,
    }
}

/// Rows as a split; its columns are the keys of the rows, in the order in which they come.
fn of_documents(documents: Vec<Document>) -> Split {
    let mut columns: Vec<String> = Vec::new();
    for key in documents.iter().flat_map(Document::keys) {
        if !columns.contains(key) {
            columns.push(key.clone());
        }
    }
    Split { columns, documents }
}
