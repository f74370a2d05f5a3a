//! When a run ends before its last step: a bound on the mean of the last ten values of what is logged. It refuses a quantity that the
//! method does not log.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::job::StepRecord;
use crate::error::{BenchError, Result};

/// Values that are averaged, as in relearning; fewer than these stop nothing.
const WINDOW: usize = 10;
/// The loss itself among the quantities.
const LOSS: &str = "loss";

/// A bound such as `forget_loss>100`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StopRule {
    /// `loss`, or what the method logs.
    quantity: String,
    side: Side,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Above,
    Below,
}

impl FromStr for StopRule {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let problem = || format!("`{text}`: write a bound as loss<0.1 or forget_loss>100");
        let place = text.find(['<', '>']).ok_or_else(problem)?;
        let (quantity, rest) = text.split_at(place);
        let (sign, bound) = rest.split_at(1);
        let (quantity, bound) = (quantity.trim(), bound.trim().parse::<f64>());
        match bound {
            Ok(bound) if bound.is_finite() && !quantity.is_empty() => Ok(Self {
                quantity: quantity.to_owned(),
                side: if sign == ">" {
                    Side::Above
                } else {
                    Side::Below
                },
                bound,
            }),
            _ => Err(problem()),
        }
    }
}

impl TryFrom<String> for StopRule {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<StopRule> for String {
    fn from(rule: StopRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for StopRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.side {
            Side::Above => '>',
            Side::Below => '<',
        };
        write!(f, "{}{sign}{}", self.quantity, self.bound)
    }
}

/// A rule with the values that it looks at.
#[derive(Debug)]
pub(super) struct StopWatch {
    rule: StopRule,
    last: VecDeque<f64>,
}

impl StopWatch {
    pub(super) fn new(rule: StopRule) -> Self {
        Self {
            rule,
            last: VecDeque::new(),
        }
    }

    /// Looks at a step, and says why the run is to end here, if it is.
    ///
    /// # Errors
    /// When the step has no such value.
    pub(super) fn look(&mut self, step: &StepRecord) -> Result<Option<String>> {
        let (quantity, parts) = (&self.rule.quantity, &step.parts);
        let value = if quantity == LOSS {
            step.loss
        } else {
            *parts.get(quantity).ok_or_else(|| {
                let known = parts.keys().map(String::as_str).chain([LOSS]);
                let hint = harness_spelling::hint(quantity, known.clone());
                let known = known.collect::<Vec<_>>().join(", ");
                BenchError::Request(format!(
                    "--stop-when {}: the method logs no {quantity}{hint}, but {known}",
                    self.rule
                ))
            })?
        };
        self.last.push_back(value);
        if self.last.len() < WINDOW {
            return Ok(None);
        }
        let mean = self.last.iter().sum::<f64>() / WINDOW as f64;
        self.last.pop_front();
        let reached = match self.rule.side {
            Side::Above => mean > self.rule.bound,
            Side::Below => mean < self.rule.bound,
        };
        Ok(reached.then(|| {
            format!(
                "{}: the mean of the last {WINDOW} steps is {mean:.4}",
                self.rule
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{StopRule, StopWatch};
    use crate::unlearn::StepRecord;

    fn step(loss: f64, part: f64) -> StepRecord {
        let record = serde_json::json!({
            "step": 1, "loss": loss, "parts": {"forget_loss": part}, "learning_rate": 0.1, "gradient_norm": 1.0,
            "forget_documents": [], "retain_documents": [], "tokens": 1, "reference_tokens": 0, "seconds": 0.0,
        });
        serde_json::from_value(record).unwrap()
    }

    /// The index of the step after which a rule stops a run of these losses.
    fn stops(rule: &str, losses: &[f64]) -> Option<usize> {
        let mut watch = StopWatch::new(rule.parse().unwrap());
        let reached = |&loss: &f64| watch.look(&step(loss, -loss)).unwrap().is_some();
        losses.iter().map(reached).position(|stopped| stopped)
    }

    #[test]
    fn a_mean_of_ten_steps_decides() {
        let losses: Vec<f64> = (0..40).map(f64::from).collect();
        // The mean of the steps k-9 to k is k - 4.5.
        assert_eq!(stops("loss>10", &losses), Some(15));
        assert_eq!(stops("loss > 20.5", &losses), Some(26));
        assert_eq!(stops("forget_loss<-10", &losses), Some(15));
        assert_eq!(stops("loss<1e9", &losses), Some(9), "not before ten");
        assert_eq!(stops("loss>100", &losses), None);
    }

    #[test]
    fn a_quantity_that_is_not_logged_is_refused() {
        let rule: StopRule = "forget_los>1".parse().unwrap();
        let error = StopWatch::new(rule).look(&step(0.0, 0.0)).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `forget_loss`"),
            "{error}"
        );
        for nonsense in ["loss", "loss>", ">3", "loss>many", "loss>inf", ""] {
            assert!(nonsense.parse::<StopRule>().is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        for text in ["loss<0.1", "forget_loss>100"] {
            let rule: StopRule = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
        }
    }
}
