//! A task with its data: documents to requests and training pairs. Asks no model and scores nothing; see `score`.

use std::fmt;
use std::sync::Arc;

use harness_data::{DataSource, Document, Split};
use harness_metric::ExactMatch;

use crate::dataset::Dataset;
use crate::fewshot::Examples;
use crate::field::{Rivals, Row, Turn};
use crate::filter::Pipeline;
use crate::hooks::{Bridge, Hooks};
use crate::plan::Plan;
use crate::prose::Prose;
use crate::score;
use crate::spec::{PipelineSpec, Sampler};
use crate::{DocumentRequests, Limit, RequestOptions, TaskError, TaskSpec, TrainingPair};

/// A task that is ready to be asked: its YAML, its documents, its compiled templates and filters.
pub struct Task {
    pub(crate) spec: TaskSpec,
    pub(crate) turn: Turn,
    pub(crate) rivals: Rivals,
    pub(crate) description: Prose,
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) exact_match: ExactMatch,
    pub(crate) bridge: Bridge,
    pub(crate) bootstrap_replicates: usize,
    fewshot_turn: Turn,
    source: DataSource,
    documents: Vec<Document>,
}

impl Task {
    /// Reads the split to score (see [`TaskSpec::evaluated_split`]) and compiles templates and filters. Few-shot examples
    /// are read when they are needed.
    ///
    /// # Errors
    /// Where the data cannot be read or is empty, on templates and patterns that do not compile, on Python functions, and
    /// on what no model here answers.
    pub fn load(spec: TaskSpec, source: &DataSource) -> Result<Self, TaskError> {
        Self::load_with_hooks(spec, source, None)
    }

    /// As [`Task::load`], with a bridge to the task's Python functions.
    ///
    /// # Errors
    /// As [`Task::load`]; also where a function fails.
    pub fn load_with_hooks(
        spec: TaskSpec,
        source: &DataSource,
        hooks: Option<Arc<dyn Hooks>>,
    ) -> Result<Self, TaskError> {
        let bridge = Bridge::new(&spec, hooks);
        bridge.require()?;
        refuse(&spec)?;
        let dataset = Dataset {
            spec: &spec,
            source,
            bridge: &bridge,
        };
        let Split { columns, documents } = dataset.evaluated()?;
        Ok(Self {
            turn: Turn::of_task(&spec, &columns)?,
            rivals: Rivals::of_task(&spec, &columns)?,
            fewshot_turn: Turn::of_fewshot(&spec, &columns)?,
            description: Prose::compile("description", Some(&spec.description), &spec.task)?,
            pipelines: pipelines(&spec)?,
            exact_match: score::exact_match(&spec)?,
            bootstrap_replicates: score::BOOTSTRAP_REPLICATES,
            source: source.clone(),
            documents,
            bridge,
            spec,
        })
    }

    /// Sets how many bootstrap replicates standard errors take (lm-eval's `bootstrap_iters`; 100,000 unless set).
    #[must_use]
    pub fn with_bootstrap_replicates(self, bootstrap_replicates: usize) -> Self {
        Self {
            bootstrap_replicates,
            ..self
        }
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
    /// On documents that do not give what the task needs, on too few few-shot examples, on settings of generation that are
    /// not computed, and where a chat template refuses the conversation.
    pub fn requests(&self, options: &RequestOptions) -> Result<Vec<DocumentRequests>, TaskError> {
        let plan = Plan::new(self, options)?;
        let shots = self.spec.effective_num_fewshot(options.num_fewshot);
        let dataset = Dataset {
            spec: &self.spec,
            source: &self.source,
            bridge: &self.bridge,
        };
        let mut examples = Examples::new(
            &self.spec,
            &self.fewshot_turn,
            &dataset,
            &self.bridge,
            (shots, options.fewshot_seed),
        )?;
        self.selected(options)?
            .into_iter()
            .map(|(doc_id, document)| {
                let row = self.row(doc_id, document);
                let requests = plan.requests(&row, &mut examples)?;
                let repeated = requests
                    .into_iter()
                    .flat_map(|request| std::iter::repeat_n(request, self.spec.repeats));
                Ok(DocumentRequests {
                    doc_id,
                    document: document.clone(),
                    target: self.turn.target(&row)?,
                    requests: repeated.collect(),
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
        self.first(limit)
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

    /// The right answer as text, for those who make answers up.
    pub(crate) fn target_text(&self, row: &Row<'_>) -> Result<String, TaskError> {
        self.turn.answer_text(row)
    }

    pub(crate) fn row<'a>(&'a self, doc_id: usize, document: &'a Document) -> Row<'a> {
        Row::new(&self.bridge, document, doc_id.to_string())
    }

    /// The documents that the options leave, with their rows.
    fn selected(&self, options: &RequestOptions) -> Result<Vec<(usize, &Document)>, TaskError> {
        let available = self.documents.len();
        let Some(rows) = &options.rows else {
            return Ok(self.first(options.limit).collect());
        };
        let find = |&row: &usize| {
            let missing = || {
                let message = format!(
                    "there is no document {row}: the split has {available}, counted from 0"
                );
                self.error(message)
            };
            Ok((row, self.documents.get(row).ok_or_else(missing)?))
        };
        rows.iter().map(find).collect()
    }

    fn first(&self, limit: Option<Limit>) -> impl Iterator<Item = (usize, &Document)> {
        let available = self.documents.len();
        let count = limit.map_or(available, |limit| limit.documents(available));
        self.documents.iter().take(count).enumerate()
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

fn pipelines(spec: &TaskSpec) -> Result<Vec<Pipeline>, TaskError> {
    let by_default = [PipelineSpec::take_first()];
    let specs = spec.filter_list.as_deref().unwrap_or(&by_default);
    specs
        .iter()
        .map(|pipeline| Pipeline::compile(pipeline, &spec.task))
        .collect()
}

/// What no model here answers, of all that the format knows.
pub(crate) fn unanswerable(spec: &TaskSpec) -> Option<&'static str> {
    if spec.python_class.is_some() {
        Some("`class`: a task that is all Python")
    } else if spec.doc_to_image.is_some() || spec.doc_to_audio.is_some() {
        Some("`doc_to_image` and `doc_to_audio`: models here read text alone, and this")
    } else if spec.unsafe_code {
        Some("`unsafe_code: true`: running code that a model wrote")
    } else if matches!(spec.fewshot_config.sampler, Sampler::Python(_)) {
        Some("`fewshot_config.sampler`: a sampler in Python")
    } else {
        None
    }
}

fn refuse(spec: &TaskSpec) -> Result<(), TaskError> {
    match unanswerable(spec) {
        None => Ok(()),
        Some(what) => Err(TaskError::Task {
            task: spec.task.clone(),
            message: format!("{what} is not supported"),
        }),
    }
}

/// Compiles a task's templates, filters and patterns, for the errors alone: they need no rows.
pub(crate) fn compile(spec: &TaskSpec) -> Result<(), TaskError> {
    Turn::of_task(spec, &[])?;
    Turn::of_fewshot(spec, &[])?;
    Rivals::of_task(spec, &[])?;
    Prose::compile("description", Some(&spec.description), &spec.task)?;
    pipelines(spec)?;
    score::exact_match(spec).map(drop)
}
