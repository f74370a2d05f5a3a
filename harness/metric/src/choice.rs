//! Which choice a model prefers, from the choices' log-likelihoods; ties go to the first, NaN to nobody.

use crate::MetricError;
use crate::error::{require_finite, require_same_length};

/// Index of the largest value, the first one of several.
///
/// # Errors
/// On no values, and on NaN or +∞ (numpy would let a NaN win). −∞ is a legitimate log of zero.
pub fn argmax(values: &[f64]) -> Result<usize, MetricError> {
    const METRIC: &str = "argmax";
    let mut best = None;
    for (index, &value) in values.iter().enumerate() {
        if value.is_nan() || value == f64::INFINITY {
            return Err(MetricError::NotFinite {
                metric: METRIC,
                index,
                value,
            });
        }
        if best.is_none_or(|(_, largest)| value > largest) {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index).ok_or(MetricError::Empty {
        metric: METRIC,
        unit: "choice",
    })
}

/// Index of the choice with the largest log-likelihood per Unicode code point of the bare choice: lm-eval's `acc_norm`.
///
/// # Errors
/// As [`argmax`]; also on an empty choice and on differing numbers of log-likelihoods and choices.
pub fn argmax_per_char(logprobs: &[f64], choices: &[String]) -> Result<usize, MetricError> {
    argmax_per_length("acc_norm", logprobs, choices, |choice| {
        choice.chars().count()
    })
}

/// Index of the choice with the largest log-likelihood per UTF-8 byte of the bare choice: lm-eval's `acc_bytes`.
///
/// # Errors
/// As [`argmax_per_char`].
pub fn argmax_per_byte(logprobs: &[f64], choices: &[String]) -> Result<usize, MetricError> {
    argmax_per_length("acc_bytes", logprobs, choices, str::len)
}

/// Index of the choice whose log-likelihood gains most by the question: lm-eval's `acc_mutual_info`, with the choices'
/// log-likelihoods after the question and after none (nats, `[choices]`).
///
/// # Errors
/// As [`argmax`]; also on differing numbers of log-likelihoods, and on a choice that is impossible without a question.
pub fn argmax_mutual_information(
    logprobs: &[f64],
    unconditional: &[f64],
) -> Result<usize, MetricError> {
    const METRIC: &str = "acc_mutual_info";
    require_same_length(METRIC, logprobs.len(), unconditional.len())?;
    require_finite(METRIC, unconditional)?;
    let gains = logprobs.iter().zip(unconditional);
    argmax(
        &gains
            .map(|(with, without)| with - without)
            .collect::<Vec<_>>(),
    )
}

fn argmax_per_length(
    metric: &'static str,
    logprobs: &[f64],
    choices: &[String],
    length: impl Fn(&str) -> usize,
) -> Result<usize, MetricError> {
    require_same_length(metric, logprobs.len(), choices.len())?;
    if let Some(index) = choices.iter().position(String::is_empty) {
        return Err(MetricError::EmptyChoice { metric, index });
    }
    let normalised: Vec<f64> = logprobs
        .iter()
        .zip(choices)
        .map(|(logprob, choice)| logprob / length(choice) as f64)
        .collect();
    argmax(&normalised)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_equals_wins() {
        assert_eq!(argmax(&[-3.0, -1.0, -1.0]), Ok(1));
        assert_eq!(argmax(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), Ok(0));
    }

    #[test]
    fn nan_does_not_win() {
        assert!(matches!(
            argmax(&[-1.0, f64::NAN]),
            Err(MetricError::NotFinite { index: 1, .. })
        ));
        assert!(matches!(argmax(&[]), Err(MetricError::Empty { .. })));
    }

    #[test]
    fn code_points_and_bytes_are_different_lengths() {
        let choices = ["ééé".to_owned(), "abcd".to_owned()];
        assert_eq!(argmax_per_char(&[-6.0, -7.0], &choices), Ok(1));
        assert_eq!(argmax_per_byte(&[-6.0, -7.0], &choices), Ok(0));
    }

    #[test]
    fn mutual_information_forgives_unlikely_choices() {
        assert_eq!(
            argmax_mutual_information(&[-3.0, -5.0], &[-3.0, -9.0]),
            Ok(1)
        );
        assert!(argmax_mutual_information(&[-3.0], &[-3.0, -9.0]).is_err());
        assert!(argmax_mutual_information(&[-3.0], &[f64::NEG_INFINITY]).is_err());
    }

    #[test]
    fn an_empty_choice_has_no_length() {
        let choices = ["a".to_owned(), String::new()];
        assert_eq!(
            argmax_per_char(&[-1.0, 0.0], &choices),
            Err(MetricError::EmptyChoice {
                metric: "acc_norm",
                index: 1
            })
        );
    }
}
