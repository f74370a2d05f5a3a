//! One task, one model: requests out, responses in, scores. The same path for `eval` and for every experiment.

use harness_engine::{AnswerCache, EncodedRequests, Encoder, EngineError, Progress, Scorer, Step};
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

/// How far a task has come.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationProgress {
    /// Documents whose requests are all answered.
    pub documents_done: usize,
    /// Documents in all.
    pub documents: usize,
    /// The requests behind them.
    pub requests: Progress,
}

/// A task's questions, ready to be asked. Making them needs no model.
pub struct Questions {
    documents: Vec<DocumentRequests>,
    encoded: Option<EncodedRequests>,
}

impl Questions {
    /// Renders a task's prompts and, given an encoder, tokenizes them; without one that is done when they are asked.
    ///
    /// # Errors
    /// When a prompt cannot be rendered or tokenized.
    pub fn new(task: &Task, options: &RequestOptions, encoder: Option<&Encoder>) -> Result<Self> {
        let documents = task.requests(options)?;
        let encoded = encoder.map(|encoder| encoder.encode_requests(&requests(&documents)));
        let encoded = encoded.transpose();
        let encoded = encoded.map_err(|error| name_document(error, task, &documents))?;
        Ok(Self { documents, encoded })
    }

    /// Documents that they are about.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// Asks them, only what `cache` lacks if there is one, and scores the answers.
    ///
    /// # Errors
    /// When the model cannot answer, an answer is no number, or the cache fails.
    pub fn evaluate(
        self,
        task: &Task,
        scorer: &mut Scorer,
        cache: Option<&mut AnswerCache>,
        progress: &mut dyn FnMut(EvaluationProgress),
    ) -> Result<Evaluation> {
        let Self { documents, encoded } = self;
        let mut tally = Tally::new(&documents);
        let mut on_step = |step: Step| {
            progress(tally.after(&step));
            Ok(())
        };
        let answered = match (cache, encoded) {
            (Some(cache), _) => {
                scorer.answer_with_cache(&requests(&documents), cache, &mut on_step)
            }
            (None, Some(encoded)) => scorer.answer_encoded(encoded, &mut on_step),
            (None, None) => scorer.answer(&requests(&documents), &mut on_step),
        };
        let responses = answered.map_err(|error| name_document(error, task, &documents))?;
        let TaskScores { samples, result } = task.score(&documents, &responses)?;
        Ok(Evaluation { samples, result })
    }
}

/// Asks a task's questions and scores the answers.
///
/// # Errors
/// When a prompt cannot be rendered, the model cannot answer, or an answer is no number.
pub fn evaluate(
    task: &Task,
    scorer: &mut Scorer,
    options: &RequestOptions,
    progress: &mut dyn FnMut(EvaluationProgress),
) -> Result<Evaluation> {
    Questions::new(task, options, None)?.evaluate(task, scorer, None, progress)
}

pub(crate) fn requests(documents: &[DocumentRequests]) -> Vec<Request> {
    let requests = documents.iter().flat_map(|document| &document.requests);
    requests.cloned().collect()
}

/// Counts documents by their requests.
struct Tally {
    /// The document of each request.
    owners: Vec<usize>,
    /// Requests of each document that are still to be answered.
    left: Vec<usize>,
    done: usize,
}

impl Tally {
    fn new(documents: &[DocumentRequests]) -> Self {
        let left: Vec<usize> = documents.iter().map(|d| d.requests.len()).collect();
        let owners = left.iter().enumerate();
        Self {
            owners: owners
                .flat_map(|(i, &n)| std::iter::repeat_n(i, n))
                .collect(),
            done: left.iter().filter(|&&requests| requests == 0).count(),
            left,
        }
    }

    fn after(&mut self, step: &Step) -> EvaluationProgress {
        for &(request, _) in &step.answered {
            let left = &mut self.left[self.owners[request]];
            *left -= 1;
            self.done += usize::from(*left == 0);
        }
        EvaluationProgress {
            documents_done: self.done,
            documents: self.left.len(),
            requests: step.progress,
        }
    }
}

/// Says which document a request belongs to that cannot be answered.
pub(crate) fn name_document(
    error: EngineError,
    task: &Task,
    documents: &[DocumentRequests],
) -> BenchError {
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
