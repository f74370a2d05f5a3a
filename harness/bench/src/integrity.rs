//! Whether a task's data and prompts are sound, before a model is asked: every document renders, twice to the same requests, has
//! something to score and a right answer that the metrics take. Asks no model.

use std::collections::{HashMap, HashSet};

use harness_engine::Encoder;
use harness_task::{DocumentRequests, Request, RequestOptions, Response, Task, python_str};
use serde_json::json;

use crate::error::{BenchError, Result};
use crate::evaluate::{name_document, requests};
use crate::run_directory::sha256_hex;

/// Shorter questions may stand in a prompt by chance.
const SHORTEST_QUESTION: usize = 20;

/// What was looked at, with fingerprints to compare runs by, and what is allowed but may not be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integrity {
    /// Rows of the split.
    pub rows: usize,
    /// SHA-256 of all rows, one a line in JSON.
    pub rows_sha256: String,
    /// Documents that are asked.
    pub documents: usize,
    /// Requests to the model.
    pub requests: usize,
    /// SHA-256 of all requests' arguments, one a line in JSON.
    pub requests_sha256: String,
    /// Requests that do not fit the model whole.
    pub cut: usize,
    /// In words, without the task's name.
    pub remarks: Vec<String>,
}

/// Checks the documents that `options` select.
///
/// # Errors
/// Names task and document where a prompt cannot be rendered or tokenized, where it comes out otherwise the second time, where
/// there is nothing to score, and where the metrics refuse the right answer.
pub fn check_integrity(
    task: &Task,
    encoder: &Encoder,
    options: &RequestOptions,
) -> Result<Integrity> {
    let documents = task.requests(options)?;
    same_again(task, &documents, &task.requests(options)?)?;
    let answers: Vec<Response> = documents.iter().flat_map(made_up_answers).collect();
    task.check_scoring(&documents, &answers)?;
    let asked = requests(&documents);
    let encoded = encoder.encode_requests(&asked);
    let encoded = encoded.map_err(|error| name_document(error, task, &documents))?;
    let rows = task.documents();
    let lines = |lines: &mut dyn Iterator<Item = String>| {
        let text: String = lines.map(|line| line + "\n").collect();
        sha256_hex(text.as_bytes())
    };
    Ok(Integrity {
        rows: rows.len(),
        rows_sha256: lines(&mut rows.iter().map(|row| json!(row).to_string())),
        documents: documents.len(),
        requests: asked.len(),
        requests_sha256: lines(
            &mut asked
                .iter()
                .map(|request| json!(request.arguments()).to_string()),
        ),
        cut: encoded.cut(),
        remarks: remarks(task, &documents),
    })
}

fn wrong(task: &Task, document: &DocumentRequests, problem: &dyn std::fmt::Display) -> BenchError {
    let (name, row) = (&task.spec().task, document.doc_id);
    BenchError::Request(format!("task {name}, document {row}: {problem}"))
}

fn same_again(task: &Task, once: &[DocumentRequests], again: &[DocumentRequests]) -> Result<()> {
    match once.iter().zip(again).find(|(once, again)| once != again) {
        None => Ok(()),
        Some((document, _)) => {
            let problem = "rendered twice, it gave other requests; a function of the task depends on more than the document";
            Err(wrong(task, document, &problem))
        }
    }
}

/// Answers of the form that a model gives; a generated text is the right one.
fn made_up_answers(document: &DocumentRequests) -> impl Iterator<Item = Response> {
    let right = match &document.target {
        serde_json::Value::Array(targets) => targets.first().map(python_str).unwrap_or_default(),
        target => python_str(target),
    };
    let answer = move |(place, request): (usize, &Request)| {
        let logprob = -1.0 - place as f64;
        match request {
            Request::GenerateUntil { .. } => Response::GenerateUntil {
                text: right.clone(),
            },
            Request::LoglikelihoodRolling { .. } => Response::LoglikelihoodRolling { logprob },
            Request::Answer { .. } => Response::made_up_answer(logprob),
            _ => Response::Loglikelihood {
                logprob,
                is_greedy: false,
            },
        }
    };
    document.requests.iter().enumerate().map(answer)
}

fn remarks(task: &Task, documents: &[DocumentRequests]) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut first_of = HashMap::new();
    let twice: Vec<(usize, usize)> = (task.documents().iter().enumerate())
        .filter_map(|(row, document)| {
            let first = *first_of.entry(json!(document).to_string()).or_insert(row);
            (first != row).then_some((row, first))
        })
        .collect();
    if let Some((row, first)) = twice.first() {
        let count = twice.len();
        remarks.push(format!(
            "{count} rows repeat an earlier one (row {row} is row {first} again)"
        ));
    }
    let same_choices = documents.iter().filter(|document| {
        let mut known = HashSet::new();
        let mut scored = document.requests.iter().filter(|request| {
            matches!(request, Request::Loglikelihood { .. }) && task.spec().repeats == 1
        });
        scored.any(|request| !known.insert(json!(request.arguments()).to_string()))
    });
    remark(&mut remarks, same_choices, "have a choice twice");
    let known = gives_itself_away(task, documents).into_iter();
    remark(&mut remarks, known, "are among their own few-shot examples");
    remarks
}

fn remark<'a>(
    remarks: &mut Vec<String>,
    found: impl Iterator<Item = &'a DocumentRequests>,
    what: &str,
) {
    let rows: Vec<usize> = found.map(|document| document.doc_id).collect();
    if let Some(first) = rows.first() {
        let count = rows.len();
        remarks.push(format!("{count} documents {what} (document {first})"));
    }
}

/// Documents whose question stands in their prompt more than once. Where a task has no question of its own, none.
fn gives_itself_away<'a>(
    task: &Task,
    documents: &'a [DocumentRequests],
) -> Vec<&'a DocumentRequests> {
    let pairs = task.training_pairs(None).unwrap_or_default().into_iter();
    let questions: HashMap<usize, String> = pairs.map(|pair| (pair.doc_id, pair.prompt)).collect();
    let is_repeated = |document: &&DocumentRequests| {
        let question = questions.get(&document.doc_id).map(|text| text.trim());
        let question = question.filter(|text| text.chars().count() >= SHORTEST_QUESTION);
        let Some(
            Request::Loglikelihood { context, .. }
            | Request::GenerateUntil { context, .. }
            | Request::Answer {
                prompt: context, ..
            },
        ) = document.requests.first()
        else {
            return false;
        };
        question.is_some_and(|question| context.matches(question).count() > 1)
    };
    documents.iter().filter(is_repeated).collect()
}
