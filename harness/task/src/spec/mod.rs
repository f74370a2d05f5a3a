//! A task as its YAML says it, typed and with every default filled in; serializes to the form of lm-eval's results
//! `configs`. Holds no data and renders nothing.

mod answer_metric;
mod fewshot;
mod fields;
mod filters;
mod function;
mod generation;
pub(crate) mod keys;
mod metric;
mod metric_table;
mod metrics;
mod parse;

use std::path::PathBuf;

use harness_data::{DatasetOptions, DatasetRef};
use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use answer_metric::{AnswerNeeds, AnswerOptions, TargetNeed};
pub use fewshot::{FewshotSpec, Sampler, Samples};
pub use filters::{FilterFunction, FilterSpec, PipelineSpec};
pub use function::{Function, NativeFunction, PythonFunction, PythonHook};
pub use generation::Generation;
pub use metric::{Aggregation, Metric, MetricFunction, MetricSpec};
pub(crate) use parse::task_spec;

/// What the requests of a task ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// One log-likelihood per choice; the best is the answer.
    MultipleChoice,
    /// The log-likelihood of the target.
    Loglikelihood,
    /// The log-likelihood of a whole text, without a prompt.
    LoglikelihoodRolling,
    /// Text.
    GenerateUntil,
    /// Every token of the target and of its rivals, and text: as the metrics need it. Not lm-eval's.
    Answer,
}

/// A `doc_to_*` value as written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum FieldSource {
    /// A column name or a Jinja template: which one is known once the columns are.
    Text(String),
    /// A literal choice index.
    Index(i64),
    /// Literal choices or targets.
    List(Vec<Value>),
    /// A function of the document.
    Function(Function),
}

/// A task YAML, typed; see [`crate::TaskLibrary::resolve`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskSpec {
    /// Registry and result name.
    pub task: String,
    /// Name shown in tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_alias: Option<String>,
    /// `org/name`, a local folder, or a builder.
    pub dataset_path: String,
    /// The data set's config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_name: Option<String>,
    /// Arguments for reading the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_kwargs: Option<Map<String, Value>>,
    /// Name of the split to train on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_split: Option<String>,
    /// Name of the split to validate on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_split: Option<String>,
    /// Name of the split to test on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_split: Option<String>,
    /// Name of the split that few-shot examples come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fewshot_split: Option<String>,
    /// A Python class that is the whole task; refused when the task is loaded.
    #[serde(rename = "class", skip_serializing_if = "Option::is_none")]
    pub python_class: Option<PythonFunction>,
    /// A Python function that gives the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_dataset: Option<PythonFunction>,
    /// What is done to the rows of every split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_docs: Option<Function>,
    /// The question.
    pub doc_to_text: FieldSource,
    /// The gold answer.
    pub doc_to_target: FieldSource,
    /// The right answer in other words, for `truth_ratio`; absent, the target itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_paraphrase: Option<FieldSource>,
    /// Wrong answers, for `truth_ratio` and `probability_w_options`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_wrong: Option<FieldSource>,
    /// Pictures; refused when the task is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_image: Option<Value>,
    /// Sounds; refused when the task is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_audio: Option<Value>,
    /// Whether scoring runs code that the model wrote; refused when the task is loaded.
    pub unsafe_code: bool,
    /// The choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_choice: Option<FieldSource>,
    /// What takes the place of the metrics' own computation: a document's values from its responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_results: Option<Function>,
    /// Text before the first example or question: a column name or a template.
    pub description: String,
    /// Between question and answer.
    pub target_delimiter: String,
    /// Between few-shot examples.
    pub fewshot_delimiter: String,
    /// Few-shot examples.
    pub fewshot_config: FewshotSpec,
    /// Number of few-shot examples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_fewshot: Option<usize>,
    /// What is computed.
    pub metric_list: Vec<MetricSpec>,
    /// What is asked of the model.
    pub output_type: OutputType,
    /// How text is generated, with lm-eval's defaults; see [`Generation::from_kwargs`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_kwargs: Option<Map<String, Value>>,
    /// How often each request is asked.
    pub repeats: usize,
    /// What is done to responses before they are scored, each pipeline with scores of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_list: Option<Vec<PipelineSpec>>,
    /// Inert, as upstream.
    pub should_decontaminate: bool,
    /// Inert, as upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_decontamination_query: Option<Value>,
    /// Start of the answer, which the model goes on from: a column or a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gen_prefix: Option<String>,
    /// Free; `version` and `config_source` are read.
    pub metadata: Map<String, Value>,
    /// `dataset_kwargs`, typed.
    #[serde(skip)]
    pub dataset_options: DatasetOptions,
    /// Every Python function of the task; without a bridge to Python such a task cannot be loaded.
    #[serde(skip)]
    pub python_hooks: Vec<PythonHook>,
    /// The YAML file, which relative data files are relative to and which errors name.
    #[serde(skip)]
    pub file: PathBuf,
}

impl TaskSpec {
    /// Where the task's data is.
    pub fn dataset(&self) -> DatasetRef {
        DatasetRef {
            path: self.dataset_path.clone(),
            name: self.dataset_name.clone(),
            options: self.dataset_options.clone(),
            base_dir: self.file.parent().map(PathBuf::from).unwrap_or_default(),
        }
    }

    /// The split that is scored: test, else validation, else (as for forget sets, which have nothing else) training.
    pub fn evaluated_split(&self) -> Option<&str> {
        self.test_split
            .as_deref()
            .or(self.validation_split.as_deref())
            .or(self.training_split.as_deref())
    }

    /// Few-shot examples per document: what was asked for, except where the YAML says 0; else what the YAML says; else 0.
    pub fn effective_num_fewshot(&self, requested: Option<usize>) -> usize {
        match (self.num_fewshot, requested) {
            (Some(0), _) | (None, None) => 0,
            (_, Some(requested)) => requested,
            (Some(own), None) => own,
        }
    }

    /// `metadata.version`.
    pub fn version(&self) -> Option<&Value> {
        self.metadata.get("version")
    }
}
