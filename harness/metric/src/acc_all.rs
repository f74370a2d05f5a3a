//! `MultiRC`'s `acc_all`: a question counts only if every one of its answers is judged rightly; knows numbers of questions,
//! not their texts.

use std::collections::BTreeMap;

use crate::{MetricError, mean, mean_stderr};

/// One answer's judgement, and the question it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerJudgement {
    /// Number of the paragraph.
    pub paragraph: i64,
    /// Number of the question, counted anew in each paragraph or not: the data decide.
    pub question: i64,
    /// Whether the model judged this answer rightly.
    pub is_right: bool,
}

/// Share of questions with all answers judged rightly.
///
/// # Errors
/// On no judgements.
pub fn acc_all(judgements: &[AnswerJudgement]) -> Result<f64, MetricError> {
    mean(&all_right(judgements, |judgement| {
        (judgement.paragraph, judgement.question)
    }))
}

/// Standard error of [`acc_all`] as lm-eval computes it: it takes questions of the same number in different paragraphs for
/// one. `None` for fewer than two such questions.
///
/// # Errors
/// Never; the form is that of the other standard errors.
pub fn acc_all_stderr(judgements: &[AnswerJudgement]) -> Result<Option<f64>, MetricError> {
    mean_stderr(&all_right(judgements, |judgement| judgement.question))
}

/// One for each question without a wrong judgement, zero for the others.
fn all_right<K: Ord>(
    judgements: &[AnswerJudgement],
    question: impl Fn(&AnswerJudgement) -> K,
) -> Vec<f64> {
    let mut questions = BTreeMap::new();
    for judgement in judgements {
        *questions.entry(question(judgement)).or_insert(true) &= judgement.is_right;
    }
    questions
        .into_values()
        .map(|right| if right { 1.0 } else { 0.0 })
        .collect()
}
