//! Metrics of multiple choice: which choice the log-likelihoods prefer, and how much; refuses gold answers that are none
//! of the choices.

use harness_metric::{
    MetricError, argmax, argmax_mutual_information, argmax_per_byte, argmax_per_char,
    chance_corrected_utility, softmax,
};
use serde_json::{Value, json};

use super::DocumentScore;
use super::values::{loglikelihood, misshapen};
use crate::field::{Question, Row};
use crate::template::python_str;
use crate::{DocumentRequests, Metric, Task, TaskError};

/// What the model said of a document's choices.
struct Answers<'a> {
    choices: &'a [String],
    logprobs: Vec<f64>,
    /// Without the question; empty unless asked for.
    unconditional: Vec<f64>,
    is_greedy: Vec<bool>,
    /// Indices of the right choices: several where the target is a list.
    gold: Vec<usize>,
}

impl Task {
    pub(super) fn choice_scores(
        &self,
        row: &Row<'_>,
        document: &DocumentRequests,
        results: &[Value],
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let choices = self.turn.choices(row)?;
        let loglikelihoods = results
            .iter()
            .map(|result| {
                loglikelihood(result).ok_or_else(|| misshapen(row, result, "a log-likelihood"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (mut logprobs, mut is_greedy): (Vec<f64>, Vec<bool>) =
            loglikelihoods.into_iter().unzip();
        let asked = choices.len().min(logprobs.len());
        let unconditional = logprobs.split_off(asked);
        is_greedy.truncate(asked);
        let answers = Answers {
            gold: self.gold_choices(row, document, &choices)?,
            choices: &choices,
            logprobs,
            unconditional,
            is_greedy,
        };
        self.each_metric(document.doc_id, |metric| answers.value(metric))
    }

    fn gold_choices(
        &self,
        row: &Row<'_>,
        document: &DocumentRequests,
        choices: &[String],
    ) -> Result<Vec<usize>, TaskError> {
        if let Question::Choice(index) = self.turn.question(row)? {
            return gold_choice(row, &index.into(), choices).map(|gold| vec![gold]);
        }
        match &document.target {
            Value::Array(targets) => targets
                .iter()
                .map(|target| gold_choice(row, target, choices))
                .collect(),
            target => gold_choice(row, target, choices).map(|gold| vec![gold]),
        }
    }
}

impl Answers<'_> {
    fn value(&self, metric: Metric) -> Result<Value, MetricError> {
        let preferred = argmax(&self.logprobs)?;
        Ok(match metric {
            Metric::AccNorm => self.accuracy(argmax_per_char(&self.logprobs, self.choices)?),
            Metric::AccBytes => self.accuracy(argmax_per_byte(&self.logprobs, self.choices)?),
            Metric::AccMutualInfo => self.accuracy(argmax_mutual_information(
                &self.logprobs,
                &self.unconditional,
            )?),
            Metric::ExactMatch => {
                let greedy = |gold: &usize| self.is_greedy.get(*gold).copied().unwrap_or(false);
                json!(u8::from(self.gold.iter().any(greedy)))
            }
            Metric::F1 | Metric::Mcc => json!([self.gold(), preferred]),
            Metric::BrierScore => json!([self.gold(), softmax(&self.logprobs)?]),
            Metric::AccOverChance => {
                let right = self.gold.contains(&preferred);
                let chance = self.gold.len() as f64 / self.choices.len() as f64;
                json!(chance_corrected_utility(
                    f64::from(u8::from(right)),
                    1.0,
                    chance
                )?)
            }
            Metric::Bypass => Value::Null,
            _ => self.accuracy(preferred),
        })
    }

    fn accuracy(&self, preferred: usize) -> Value {
        json!(if self.gold.contains(&preferred) {
            1.0
        } else {
            0.0
        })
    }

    /// The gold index, or a list where there are several.
    fn gold(&self) -> Value {
        match self.gold.as_slice() {
            [only] => json!(only),
            several => json!(several),
        }
    }
}

/// The index of a gold answer, which is an index itself or a choice's text.
fn gold_choice(row: &Row<'_>, target: &Value, choices: &[String]) -> Result<usize, TaskError> {
    let index = match target {
        Value::Number(index) => index.as_u64().map(|index| index as usize),
        Value::String(text) => choices.iter().position(|choice| choice == text),
        _ => None,
    };
    index.filter(|&index| index < choices.len()).ok_or_else(|| {
        row.error(format!(
            "doc_to_target gave {}, which is none of the {} choices",
            python_str(target),
            choices.len()
        ))
    })
}
