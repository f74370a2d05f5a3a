//! Metrics of one log-likelihood: of a target after a prompt, or of a whole text; refuses what is not finite.

use harness_metric::{MetricError, mean, word_count};
use serde_json::{Value, json};

use super::DocumentScore;
use super::values::{loglikelihood, logprob, misshapen, only};
use crate::field::Row;
use crate::template::python_str;
use crate::{DocumentRequests, Metric, Task, TaskError};

impl Task {
    pub(super) fn likelihood_scores(
        &self,
        row: &Row<'_>,
        document: &DocumentRequests,
        results: &[Value],
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let result = only(row, results)?;
        let Some((logprob, is_greedy)) = loglikelihood(result) else {
            return Err(misshapen(row, result, "a log-likelihood"));
        };
        self.each_metric(document.doc_id, |metric| {
            require_finite(logprob)?;
            Ok(match metric {
                Metric::Perplexity => json!(logprob),
                Metric::Bypass => Value::Null,
                _ => json!(u8::from(is_greedy)),
            })
        })
    }

    pub(super) fn rolling_scores(
        &self,
        row: &Row<'_>,
        document: &DocumentRequests,
        results: &[Value],
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let result = only(row, results)?;
        let Some(logprob) = logprob(result) else {
            return Err(misshapen(row, result, "a log-likelihood"));
        };
        let text = python_str(&document.target);
        self.each_metric(document.doc_id, |metric| {
            require_finite(logprob)?;
            Ok(match metric {
                Metric::WordPerplexity => json!([logprob, word_count(&text)]),
                Metric::Bypass => Value::Null,
                _ => json!([logprob, text.len()]),
            })
        })
    }
}

fn require_finite(logprob: f64) -> Result<(), MetricError> {
    mean(&[logprob]).map(drop)
}
