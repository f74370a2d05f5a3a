//! A task with its data: documents to requests and training pairs. Asks no model and scores nothing; see `score`.

use std::fmt;

use harness_data::{DataSource, Document, Split};

use crate::fewshot::Examples;
use crate::field::{Description, Question, Row, Turn};
use crate::{
    DocumentRequests, Limit, OutputType, Request, RequestOptions, TaskError, TaskSpec, TrainingPair,
};

/// A task that is ready to be asked: its YAML, its documents, its compiled templates.
pub struct Task {
    pub(crate) spec: TaskSpec,
    pub(crate) turn: Turn,
    fewshot_turn: Turn,
    description: Description,
    source: DataSource,
    documents: Vec<Document>,
}

impl Task {
    /// Reads the split to score (see [`TaskSpec::evaluated_split`]) and compiles the templates. Few-shot examples are read
    /// when they are needed.
    ///
    /// # Errors
    /// Where the data cannot be read or is empty, and on templates that do not compile.
    pub fn load(spec: TaskSpec, source: &DataSource) -> Result<Self, TaskError> {
        let Split { columns, documents } = evaluated_documents(&spec, source)?;
        Ok(Self {
            turn: Turn::of_task(&spec, &columns)?,
            fewshot_turn: Turn::of_fewshot(&spec, &columns)?,
            description: Description::compile(&spec, &columns)?,
            source: source.clone(),
            documents,
            spec,
        })
    }

    /// The task's YAML, typed.
    pub fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    /// The documents of the evaluated split.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The requests of every selected document, in order. The few-shot stream runs through the documents from the first,
    /// so a limit changes no document's examples.
    ///
    /// # Errors
    /// On documents that do not give what the task needs, and on too few few-shot examples.
    pub fn requests(&self, options: &RequestOptions) -> Result<Vec<DocumentRequests>, TaskError> {
        let shots = self.spec.effective_num_fewshot(options.num_fewshot);
        let mut examples = Examples::new(
            &self.spec,
            &self.fewshot_turn,
            &self.source,
            shots,
            options.fewshot_seed,
        )?;
        self.selected(options.limit)
            .map(|(doc_id, document)| {
                let row = self.row(doc_id, document);
                let prefix = self.description.text(&row)? + &examples.text_for(document)?;
                Ok(DocumentRequests {
                    doc_id,
                    document: document.clone(),
                    target: self.turn.target(&row)?,
                    requests: self.document_requests(&row, &prefix)?,
                })
            })
            .collect()
    }

    /// The documents as training text: no description, no few-shot examples.
    ///
    /// The answer is `target_delimiter` + `doc_to_target` (the choice's text, where that is an index). A `loglikelihood`
    /// request scores `doc_to_target` alone, so a task in both roles sets `target_delimiter: ""` and begins
    /// `doc_to_target` with the space; the tasks in `tasks/forget` do, and their answers begin with exactly one space.
    ///
    /// # Errors
    /// On documents that do not give what the task needs.
    pub fn training_pairs(&self, limit: Option<Limit>) -> Result<Vec<TrainingPair>, TaskError> {
        self.selected(limit)
            .map(|(doc_id, document)| {
                let row = self.row(doc_id, document);
                Ok(TrainingPair {
                    doc_id,
                    prompt: self.turn.question_text(&row)?,
                    answer: self.spec.target_delimiter.clone() + &self.turn.answer_text(&row)?,
                    document: document.clone(),
                })
            })
            .collect()
    }

    pub(crate) fn row<'a>(&'a self, doc_id: usize, document: &'a Document) -> Row<'a> {
        Row::new(&self.spec.task, document, doc_id.to_string())
    }

    fn selected(&self, limit: Option<Limit>) -> impl Iterator<Item = (usize, &Document)> {
        let available = self.documents.len();
        let count = limit.map_or(available, |limit| limit.documents(available));
        self.documents.iter().take(count).enumerate()
    }

    fn document_requests(&self, row: &Row<'_>, prefix: &str) -> Result<Vec<Request>, TaskError> {
        let delimiter = &self.spec.target_delimiter;
        let request = |context: String, continuation: String| Request::Loglikelihood {
            context,
            continuation,
        };
        match (self.spec.output_type, self.turn.question(row)?) {
            (OutputType::Loglikelihood, Question::Text(text)) => Ok(vec![request(
                format!("{prefix}{text}"),
                self.turn.answer_text(row)?,
            )]),
            (OutputType::Loglikelihood, Question::Choice(_)) => Err(row.error(
                "doc_to_text gave a choice index, which needs output_type multiple_choice"
                    .to_owned(),
            )),
            (OutputType::MultipleChoice, Question::Text(text)) => {
                let choices = self.turn.choices(row)?;
                let ask = |choice: String| {
                    request(format!("{prefix}{text}"), format!("{delimiter}{choice}"))
                };
                Ok(choices.into_iter().map(ask).collect())
            }
            (OutputType::MultipleChoice, Question::Choice(_)) => {
                let continuation = format!("{delimiter}{}", self.turn.answer_text(row)?);
                let choices = self.turn.choices(row)?;
                Ok(choices
                    .into_iter()
                    .map(|choice| request(format!("{prefix}{choice}"), continuation.clone()))
                    .collect())
            }
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("task", &self.spec.task)
            .field("documents", &self.documents.len())
            .finish_non_exhaustive()
    }
}

fn evaluated_documents(spec: &TaskSpec, source: &DataSource) -> Result<Split, TaskError> {
    let error = |message| TaskError::Task {
        task: spec.task.clone(),
        message,
    };
    let Some(split) = spec.evaluated_split() else {
        return Err(error("the task names no split".to_owned()));
    };
    let loaded = source
        .load(&spec.dataset(), split)
        .map_err(|source| TaskError::Data {
            task: spec.task.clone(),
            source: Box::new(source),
        })?;
    if loaded.documents.is_empty() {
        return Err(error(format!(
            "split `{split}` of `{}` has no documents",
            spec.dataset_path
        )));
    }
    Ok(loaded)
}
