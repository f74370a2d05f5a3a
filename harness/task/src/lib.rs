//! lm-eval's task format: YAML to documents to prompts to requests, and responses to scores; refuses, by name and
//! place, every part of the format that it does not implement, and runs no code out of a YAML.

mod answer_tokens;
mod chat;
mod dataset;
mod error;
mod fewshot;
mod field;
mod filter;
#[cfg(test)]
mod golden;
mod hooks;
mod library;
mod native;
mod plan;
mod prompt;
mod prose;
mod request;
mod result;
mod score;
mod spec;
mod task;
mod template;
mod trial;
pub mod yaml;

pub use answer_tokens::AnswerTokens;
pub use chat::{ChatMessage, ChatTemplate, JinjaChatTemplate, Role, SpecialTokens};
pub use error::TaskError;
pub use hooks::{HookResult, Hooks};
pub use library::{
    AggregateMetric, Duplicate, GroupNode, Needs, Selection, TaskLibrary, TaskNode, ValidatedTask,
    Validation, json_schema,
};
pub use request::{DocumentRequests, Limit, Request, RequestOptions, Response, TrainingPair};
pub use result::{AggregatedMetric, MetricValue, Sample, TaskResult, TaskScores};
pub use spec::{
    Aggregation, FewshotSpec, FieldSource, FilterFunction, FilterSpec, Function, Generation,
    Metric, MetricFunction, MetricSpec, NativeFunction, OutputType, PipelineSpec, PythonFunction,
    PythonHook, Sampler, Samples, TaskSpec,
};
pub use task::Task;
pub use template::{parse_literal as python_literal, python_str};
pub use trial::Trial;
