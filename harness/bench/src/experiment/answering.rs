//! What the models of an experiment say to the first questions of the forget set, side by side. Judges none of it.

use harness_engine::Scorer;
use harness_task::{Generation, Request, Response};
use serde_json::{Map, json};

use super::record::{AnsweredQuestion, Outcome, Subject};
use crate::answers::TextPair;
use crate::error::{BenchError, Result};

/// Tokens after which an answer is cut.
const LONGEST_ANSWER: usize = 64;

/// A model's most probable answers.
///
/// # Errors
/// When the model fails.
pub(super) fn answers(pairs: &[TextPair], scorer: &mut Scorer) -> Result<Vec<String>> {
    let settings = Map::from_iter([
        ("until".to_owned(), json!(["\n"])),
        ("max_gen_toks".to_owned(), json!(LONGEST_ANSWER)),
    ]);
    let generation = Generation::from_kwargs(settings).map_err(BenchError::Request)?;
    let request = |pair: &TextPair| Request::GenerateUntil {
        context: pair.prompt.clone(),
        generation: generation.clone(),
    };
    let requests: Vec<Request> = pairs.iter().map(request).collect();
    let responses = scorer.answer(&requests, &mut |_| Ok(()))?;
    let text = |response: Response| match response {
        Response::GenerateUntil { text } => text.trim().to_owned(),
        _ => String::new(),
    };
    Ok(responses.into_iter().map(text).collect())
}

/// The questions with the answers of each row's first model.
pub(super) fn side_by_side(pairs: &[TextPair], subjects: &[Subject]) -> Vec<AnsweredQuestion> {
    let mut rows: Vec<(&str, &[String])> = Vec::new();
    for subject in subjects {
        if let Outcome::Measured(scores) = &subject.outcome
            && !rows.iter().any(|(row, _)| *row == subject.row)
        {
            rows.push((&subject.row, &scores.answers));
        }
    }
    let question = |(place, pair): (usize, &TextPair)| AnsweredQuestion {
        question: pair.prompt.trim().to_owned(),
        expected: pair.answer.trim().to_owned(),
        answers: rows
            .iter()
            .filter_map(|(row, answers)| Some(((*row).to_owned(), answers.get(place)?.clone())))
            .collect(),
    };
    pairs.iter().enumerate().map(question).collect()
}
