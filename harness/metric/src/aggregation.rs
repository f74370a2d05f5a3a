//! From per-document values to one number, as lm-eval aggregates them; refuses empty and non-finite input.

use crate::MetricError;
use crate::error::require_finite;

/// Arithmetic mean.
///
/// # Errors
/// On no values and on values that are not finite.
pub fn mean(values: &[f64]) -> Result<f64, MetricError> {
    require_some("mean", values)?;
    require_finite("mean", values)?;
    Ok(plain_mean(values))
}

/// Mean of the values that are not NaN: lm-eval's `nanmean`. Here NaN means "left out".
///
/// # Errors
/// Where nothing is left, and on infinite values.
pub fn nanmean(values: &[f64]) -> Result<f64, MetricError> {
    let present: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| !value.is_nan())
        .collect();
    require_some("nanmean", &present)?;
    require_finite("nanmean", &present)?;
    Ok(plain_mean(&present))
}

/// The upper median: of an even number of values the larger middle one, as lm-eval takes it.
///
/// # Errors
/// On no values and on values that are not finite.
pub fn median(values: &[f64]) -> Result<f64, MetricError> {
    require_some("median", values)?;
    require_finite("median", values)?;
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Ok(*median)
}

/// Perplexity per document: exp of the negated mean of log-likelihoods (nats).
///
/// # Errors
/// On no values and on values that are not finite.
pub fn perplexity(logprobs: &[f64]) -> Result<f64, MetricError> {
    mean(logprobs).map(|mean| (-mean).exp())
}

/// Harmonic mean, as open-unlearning's `hm_aggregate` takes it; zero where a value is zero.
///
/// # Errors
/// On no values, on values that are not finite, and on negative values.
pub fn harmonic_mean(values: &[f64]) -> Result<f64, MetricError> {
    const METRIC: &str = "harmonic mean";
    require_some(METRIC, values)?;
    require_finite(METRIC, values)?;
    if let Some(index) = values.iter().position(|&value| value < 0.0) {
        return Err(MetricError::Negative {
            metric: METRIC,
            index,
            value: values[index],
        });
    }
    let inverses: f64 = values.iter().map(|value| value.recip()).sum();
    Ok(values.len() as f64 / inverses)
}

/// The error that there is nothing to aggregate.
fn require_some(metric: &'static str, values: &[f64]) -> Result<(), MetricError> {
    if values.is_empty() {
        let unit = "value";
        return Err(MetricError::Empty { metric, unit });
    }
    Ok(())
}

/// Python's `sum(values) / len(values)`: added in order, so that the last bit agrees too.
pub(crate) fn plain_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_upper_one() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Ok(3.0));
        assert_eq!(median(&[2.0]), Ok(2.0));
    }

    #[test]
    fn nan_and_nothing_are_errors() {
        assert!(matches!(
            mean(&[1.0, f64::NAN]),
            Err(MetricError::NotFinite { index: 1, .. })
        ));
        assert!(matches!(mean(&[]), Err(MetricError::Empty { .. })));
        assert!(matches!(median(&[]), Err(MetricError::Empty { .. })));
        assert!(matches!(
            nanmean(&[f64::NAN]),
            Err(MetricError::Empty { .. })
        ));
        assert!(matches!(
            harmonic_mean(&[-1.0]),
            Err(MetricError::Negative { .. })
        ));
    }
}
