//! What a model thinks of each token of an answer, and the measures of memorisation and membership that follow from it alone. The
//! one record behind task metrics, relearning curves and scorecards; it knows neither tokens nor texts, only how likely they were.

use harness_metric::{
    MetricError, answer_probability, exact_memorisation, extraction_strength,
    extraction_strength_open_unlearning, mean, min_k,
};
use serde::{Deserialize, Serialize};

/// An answer's tokens, in their order; at least one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerTokens {
    /// Natural log-probabilities, each given everything before it.
    pub logprobs: Vec<f32>,
    /// Whether each is the most likely token in its place.
    pub is_argmax: Vec<bool>,
    /// Standard deviations of each log-probability above the mean of its place; absent unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standardised: Option<Vec<f32>>,
    /// Whether the last token is the one that ends texts.
    pub ends_text: bool,
}

impl AnswerTokens {
    /// How many tokens count: all, or all but the one that ends the text. An answer that is nothing else keeps it.
    pub fn counted(&self, end_of_text: bool) -> usize {
        let tokens = self.logprobs.len();
        tokens - usize::from(self.ends_text && !end_of_text && tokens > 1)
    }

    /// Natural log-probabilities of the tokens that count.
    pub fn logprobs(&self, end_of_text: bool) -> Vec<f64> {
        widened(&self.logprobs[..self.counted(end_of_text)])
    }

    /// Mean negative log-likelihood, in nats a token.
    ///
    /// # Errors
    /// On values that are not finite.
    pub fn loss(&self, end_of_text: bool) -> Result<f64, MetricError> {
        mean(&self.logprobs(end_of_text)).map(|mean| -mean)
    }

    /// Length-normalised probability.
    ///
    /// # Errors
    /// On values that are not finite.
    pub fn probability(&self, end_of_text: bool) -> Result<f64, MetricError> {
        answer_probability(&self.logprobs(end_of_text))
    }

    /// Extraction strength; `one_token_floor` is open-unlearning's, where a wrong last token still counts as one right one.
    ///
    /// # Errors
    /// On no tokens.
    pub fn extraction_strength(
        &self,
        end_of_text: bool,
        one_token_floor: bool,
    ) -> Result<f64, MetricError> {
        let is_argmax = &self.is_argmax[..self.counted(end_of_text)];
        if one_token_floor {
            extraction_strength_open_unlearning(is_argmax)
        } else {
            extraction_strength(is_argmax)
        }
    }

    /// Share of the tokens that are the most likely ones.
    ///
    /// # Errors
    /// On no tokens.
    pub fn exact_memorisation(&self, end_of_text: bool) -> Result<f64, MetricError> {
        exact_memorisation(&self.is_argmax[..self.counted(end_of_text)])
    }

    /// Min-K%: the negated mean of the lowest `share` of the log-probabilities.
    ///
    /// # Errors
    /// On values that are not finite.
    pub fn min_k(&self, end_of_text: bool, share: f64) -> Result<f64, MetricError> {
        min_k(&self.logprobs(end_of_text), share)
    }

    /// Min-K%++: the same of the standardised log-probabilities.
    ///
    /// # Errors
    /// Where they were not asked for, and on values that are not finite.
    pub fn min_k_plus_plus(&self, end_of_text: bool, share: f64) -> Result<f64, MetricError> {
        let standardised = self.standardised.as_deref().unwrap_or_default();
        let counted = self.counted(end_of_text).min(standardised.len());
        min_k(&widened(&standardised[..counted]), share)
    }
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}
