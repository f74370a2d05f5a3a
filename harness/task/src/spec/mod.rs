//! A task as its YAML says it, typed and with every default filled in; serializes to the form of lm-eval's results
//! `configs`. Holds no data and renders nothing.

mod fields;
mod keys;
mod metrics;
mod parse;
mod serialize;

use std::path::PathBuf;

use harness_data::{DatasetOptions, DatasetRef};
use serde::Serialize;
use serde_json::{Map, Value};

pub(crate) use parse::task_spec;

/// What the requests of a task ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// One log-likelihood per choice; the best is the answer.
    MultipleChoice,
    /// The log-likelihood of the target.
    Loglikelihood,
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
}

/// How few-shot examples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Drawn anew for every document by Python's `random.sample`.
    Default,
    /// The first ones of the pool.
    FirstN,
}

/// `fewshot_config`, with what it inherits from the task filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct FewshotSpec {
    /// How examples are drawn.
    pub sampler: Sampler,
    /// Split of the pool.
    pub split: Option<String>,
    /// A pool written into the YAML; `split` wins over it.
    pub samples: Option<Vec<Map<String, Value>>>,
    /// Prompt of an example.
    pub doc_to_text: FieldSource,
    /// Choices of an example.
    pub doc_to_choice: Option<FieldSource>,
    /// Answer of an example.
    pub doc_to_target: FieldSource,
    /// Between examples.
    pub fewshot_delimiter: String,
    /// Between an example's question and answer.
    pub target_delimiter: String,
}

/// A metric this crate can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Whether the most probable choice (or the greedy continuation) is the target.
    Acc,
    /// As `Acc`, with log-likelihoods per Unicode code point of the bare choice.
    AccNorm,
    /// As `Acc`, with log-likelihoods per UTF-8 byte of the bare choice.
    AccBytes,
    /// exp of the mean negative log-likelihood per document.
    Perplexity,
}

/// How a metric's per-document values become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Arithmetic mean.
    Mean,
    /// exp of the negated mean.
    Perplexity,
}

/// One item of `metric_list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MetricSpec {
    /// What is computed per document.
    pub metric: Metric,
    /// What is computed over documents.
    pub aggregation: Aggregation,
    /// Whether more is better.
    pub higher_is_better: bool,
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
    /// The question.
    pub doc_to_text: FieldSource,
    /// The gold answer.
    pub doc_to_target: FieldSource,
    /// Always false: code is never run.
    pub unsafe_code: bool,
    /// The choices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_choice: Option<FieldSource>,
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
    /// Always 1.
    pub repeats: usize,
    /// Inert, as upstream.
    pub should_decontaminate: bool,
    /// Inert, as upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc_to_decontamination_query: Option<Value>,
    /// Free; `version` and `config_source` are read.
    pub metadata: Map<String, Value>,
    /// `dataset_kwargs`, typed.
    #[serde(skip)]
    pub dataset_options: DatasetOptions,
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

impl Metric {
    /// The name in `metric_list` and in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccNorm => "acc_norm",
            Self::AccBytes => "acc_bytes",
            Self::Perplexity => "perplexity",
        }
    }
}
