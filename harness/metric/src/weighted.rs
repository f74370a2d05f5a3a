//! Per-word and per-byte scores of whole texts: each document brings a log-likelihood and a length; refuses total length
//! zero.

use crate::MetricError;
use crate::error::require_finite;
use crate::white_space::is_python_space;

/// Words of a text as lm-eval counts them: the pieces between runs of white space, so that space at either end adds an
/// empty one, and an empty text counts one.
pub fn word_count(text: &str) -> usize {
    let starts_run = |(index, _): &(usize, char)| !text[..*index].ends_with(is_python_space);
    text.char_indices()
        .filter(|(_, character)| is_python_space(*character))
        .filter(starts_run)
        .count()
        + 1
}

/// Σ values / Σ weights, of (value, weight) pairs; values are sums already, such as log-likelihoods of whole texts.
///
/// # Errors
/// On no pairs, on values that are not finite, and where the weights add up to zero.
pub fn weighted_mean(items: &[(f64, usize)]) -> Result<f64, MetricError> {
    const METRIC: &str = "weighted mean";
    if items.is_empty() {
        return Err(MetricError::Empty {
            metric: METRIC,
            unit: "value",
        });
    }
    let values: Vec<f64> = items.iter().map(|(value, _)| *value).collect();
    require_finite(METRIC, &values)?;
    let weight: usize = items.iter().map(|(_, weight)| weight).sum();
    if weight == 0 {
        return Err(MetricError::NoWeight { metric: METRIC });
    }
    Ok(values.iter().sum::<f64>() / weight as f64)
}

/// Perplexity per word or byte, of (log-likelihood in nats, words or bytes) pairs: lm-eval's `weighted_perplexity`.
///
/// # Errors
/// As [`weighted_mean`].
pub fn weighted_perplexity(items: &[(f64, usize)]) -> Result<f64, MetricError> {
    weighted_mean(items).map(|mean| (-mean).exp())
}

/// Bits per byte, of (log-likelihood in nats, bytes) pairs.
///
/// # Errors
/// As [`weighted_mean`].
pub fn bits_per_byte(items: &[(f64, usize)]) -> Result<f64, MetricError> {
    weighted_mean(items).map(|mean| -mean / std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_at_the_ends_counts() {
        assert_eq!(word_count(""), 1);
        assert_eq!(word_count("one"), 1);
        assert_eq!(word_count(" lead  and\n\ttrail "), 5);
    }

    #[test]
    fn no_length_is_an_error() {
        assert!(matches!(
            bits_per_byte(&[(-3.0, 0)]),
            Err(MetricError::NoWeight { .. })
        ));
        assert!(weighted_perplexity(&[]).is_err());
    }
}
