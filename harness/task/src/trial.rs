//! A task tried out without a model: its first documents are rendered, with few-shot examples, and made-up answers go through
//! filters, metrics and aggregation. What would only fail in a run fails here; whether scores are good, it does not say.

use std::sync::Arc;

use harness_data::{DataError, DataSource};

use crate::hooks::Hooks;
use crate::spec::{Metric, MetricFunction};
use crate::task::{compile, unanswerable};
use crate::{
    DocumentRequests, Limit, OutputType, Request, RequestOptions, Response, Task, TaskError,
    TaskScores, TaskSpec,
};

/// Documents that are rendered: all templates see one, and few enough that a task takes no time.
const DOCUMENTS: usize = 3;

/// A standard error of made-up scores needs no more.
const BOOTSTRAP_REPLICATES: usize = 10;

/// How far a trial came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// So many documents were rendered and scored.
    Rendered(usize),
    /// Not a single one, for this reason.
    NotRendered(&'static str),
}

/// What a trial found.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) trial: Trial,
    /// What is no mistake, and yet hardly meant.
    pub(crate) warnings: Vec<String>,
}

impl Outcome {
    pub(crate) fn untried(reason: &'static str) -> Self {
        Self {
            trial: Trial::NotRendered(reason),
            warnings: Vec::new(),
        }
    }
}

/// The answers that are made up, in words: they are tried one after the other.
const ANSWERS: [&str; 3] = ["the target itself", "an empty text", "a senseless text"];

/// Compiles a task's templates and filters, and tries it on the rows that are at hand.
///
/// # Errors
/// On everything that would fail in a run, but for rows that are elsewhere.
pub(crate) fn try_out(
    spec: TaskSpec,
    source: &DataSource,
    hooks: Option<Arc<dyn Hooks>>,
) -> Result<Outcome, TaskError> {
    let mut warnings = texts_for_flags(&spec);
    let not_rendered = |reason, warnings| {
        let trial = Trial::NotRendered(reason);
        Ok(Outcome { trial, warnings })
    };
    compile(&spec)?;
    if unanswerable(&spec).is_some() {
        return not_rendered("it asks for what no model here answers", warnings);
    }
    if !spec.python_hooks.is_empty() && hooks.is_none() {
        return not_rendered(
            "Python functions run only with --trust-remote-code",
            warnings,
        );
    }
    let task = match Task::load_with_hooks(spec, source, hooks) {
        Err(error) if is_elsewhere(&error) => return not_rendered("no data", warnings),
        loaded => loaded?.with_bootstrap_replicates(BOOTSTRAP_REPLICATES),
    };
    let documents = match task.requests(&options(&task.spec)) {
        Err(error) if is_elsewhere(&error) => {
            if task.spec.num_fewshot.is_some() {
                return not_rendered("no data for few-shot examples", warnings);
            }
            task.requests(&RequestOptions {
                limit: Some(Limit::Count(DOCUMENTS)),
                ..RequestOptions::default()
            })?
        }
        rendered => rendered?,
    };
    warnings.extend(score_made_up(&task, &documents)?);
    let trial = Trial::Rendered(documents.len());
    Ok(Outcome { trial, warnings })
}

/// Where the YAML says nothing of examples, one is asked for if it has a split for them: who runs it may do so, too.
fn options(spec: &TaskSpec) -> RequestOptions {
    let has_pool = spec.fewshot_split.is_some() || spec.training_split.is_some();
    RequestOptions {
        num_fewshot: (spec.num_fewshot.is_none() && has_pool).then_some(1),
        limit: Some(Limit::Count(DOCUMENTS)),
        ..RequestOptions::default()
    }
}

/// Whether the rows, rather than the task, are what is missing: nothing of a similar name is there.
fn is_elsewhere(error: &TaskError) -> bool {
    let TaskError::Data { source, .. } = error else {
        return false;
    };
    match source.as_ref() {
        DataError::DatasetNotFound { hint, .. } | DataError::FileNotFound { hint, .. } => {
            hint.is_empty()
        }
        // A folder of --data-dir need not hold every split of the hub's data set; one's own files do.
        DataError::SplitNotFound { hint, path, .. } => hint.is_empty() && path.contains('/'),
        DataError::Remote { .. } | DataError::Script { .. } => true,
        _ => false,
    }
}

/// Flags of `exact_match` that are text, which counts as true.
fn texts_for_flags(spec: &TaskSpec) -> Vec<String> {
    let options = spec.metric_list.iter().flat_map(|metric| &metric.options);
    let texts = options.filter(|(key, value)| key.starts_with("ignore_") && value.is_string());
    texts
        .map(|(key, value)| {
            format!("`{key}` takes true or false; {value} is text, which counts as true")
        })
        .collect()
}

/// Scores every made-up answer; gives what is strange about the scores.
fn score_made_up(task: &Task, documents: &[DocumentRequests]) -> Result<Vec<String>, TaskError> {
    let mut scored = Vec::new();
    let mut not_aggregated = Vec::new();
    for (variant, answer) in ANSWERS.into_iter().enumerate() {
        let responses = responses(task, documents, variant)?;
        match task.score(documents, &responses) {
            Ok(scores) => scored.push(scores),
            // A few made-up scores may have no aggregate, such as a correlation of constants.
            Err(error @ TaskError::Aggregate { .. }) => not_aggregated.push(error),
            Err(source) if task.spec.output_type == OutputType::GenerateUntil => {
                let source = Box::new(source);
                return Err(TaskError::Trial { answer, source });
            }
            Err(error) => return Err(error),
        }
    }
    match not_aggregated.pop() {
        Some(error) if scored.is_empty() => Err(error),
        Some(_) => Ok(Vec::new()),
        None => Ok(target_misses(task, &scored).into_iter().collect()),
    }
}

fn responses(
    task: &Task,
    documents: &[DocumentRequests],
    variant: usize,
) -> Result<Vec<Response>, TaskError> {
    let mut responses = Vec::new();
    for document in documents {
        let row = task.row(document.doc_id, &document.document);
        let count = document.requests.len();
        for (index, request) in document.requests.iter().enumerate() {
            // The first choice is the best one, then the last, then all are alike.
            let rank = [index, count - index, 0][variant];
            let logprob = -1.0 - rank as f64;
            responses.push(match request {
                Request::Loglikelihood { .. } => Response::Loglikelihood {
                    logprob,
                    is_greedy: rank == 0,
                },
                Request::LoglikelihoodRolling { .. } => Response::LoglikelihoodRolling { logprob },
                Request::Answer { .. } => Response::made_up_answer(logprob),
                Request::GenerateUntil { .. } => Response::GenerateUntil {
                    text: match variant {
                        0 => task.target_text(&row)?,
                        1 => String::new(),
                        _ => "?!".to_owned(),
                    },
                },
            });
        }
    }
    Ok(responses)
}

/// A warning where the very target is no right answer, under any filter: a filter loses it, or it is not what is compared.
fn target_misses(task: &Task, scored: &[TaskScores]) -> Option<String> {
    let exact = (task.spec.metric_list.iter())
        .find(|spec| spec.function == MetricFunction::Known(Metric::ExactMatch))?;
    let mut own = (scored.first()?.result.metrics.iter())
        .filter(|metric| metric.name == exact.name)
        .peekable();
    own.peek()?;
    own.all(|metric| metric.value == 0.0).then(|| {
        let name = &exact.name;
        format!("the target itself, given as the answer, scores 0 in `{name}` under every filter")
    })
}
