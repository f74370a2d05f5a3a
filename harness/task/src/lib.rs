//! lm-eval's task format: YAML to documents to prompts to requests, and responses to scores; refuses, by name and
//! place, every part of the format that it does not implement, and runs no code out of a YAML.

mod error;
mod fewshot;
mod field;
#[cfg(test)]
mod golden;
mod library;
mod request;
mod result;
mod score;
mod spec;
mod task;
mod template;
pub mod yaml;

pub use error::TaskError;
pub use library::{
    AggregateMetric, Duplicate, GroupNode, Needs, Selection, TaskLibrary, TaskNode, ValidatedTask,
    Validation,
};
pub use request::{DocumentRequests, Limit, Request, RequestOptions, Response, TrainingPair};
pub use result::{AggregatedMetric, MetricValue, Sample, TaskResult};
pub use spec::{
    Aggregation, FewshotSpec, FieldSource, Metric, MetricSpec, OutputType, Sampler, TaskSpec,
};
pub use task::Task;
pub use template::python_str;
