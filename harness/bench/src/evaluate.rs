//! One task, one model: requests out, responses in, scores. The same path for `eval` and for every experiment.

use harness_engine::{AnswerCache, EngineError, Progress, Scorer};
use harness_task::{
    DocumentRequests, Request, RequestOptions, Sample, Task, TaskResult, TaskScores,
};

use crate::error::{BenchError, Result};

/// A scored task.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Every document with its requests, responses and metrics, one filter pipeline after the other.
    pub samples: Vec<Sample>,
    /// The metrics over all documents.
    pub result: TaskResult,
}

/// Asks a task's questions and scores the answers.
///
/// # Errors
/// When a prompt cannot be rendered, the model cannot answer, or an answer is no number.
pub fn evaluate(
    task: &Task,
    scorer: &mut Scorer,
    options: &RequestOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation> {
    evaluate_with_cache(task, scorer, options, None, progress)
}

/// As [`evaluate`], asking only what a cache lacks.
///
/// # Errors
/// As [`evaluate`], and when the cache fails.
pub fn evaluate_with_cache(
    task: &Task,
    scorer: &mut Scorer,
    options: &RequestOptions,
    cache: Option<&mut AnswerCache>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation> {
    let documents = task.requests(options)?;
    let requests: Vec<Request> = documents
        .iter()
        .flat_map(|document| document.requests.clone())
        .collect();
    let answered = match cache {
        Some(cache) => scorer.answer_with_cache(&requests, cache, progress),
        None => scorer.answer(&requests, progress),
    };
    let responses = answered.map_err(|error| name_document(error, task, &documents))?;
    let TaskScores { samples, result } = task.score(&documents, &responses)?;
    Ok(Evaluation { samples, result })
}

/// Says which document a request belongs to that cannot be answered.
fn name_document(error: EngineError, task: &Task, documents: &[DocumentRequests]) -> BenchError {
    let EngineError::InRequest { index, source } = error else {
        return error.into();
    };
    let mut asked = 0;
    let document = documents.iter().find(|document| {
        asked += document.requests.len();
        index < asked
    });
    let name = document.map_or(index, |document| document.doc_id);
    BenchError::Request(format!(
        "task {}, document {name}: {source}",
        task.spec().task
    ))
}
