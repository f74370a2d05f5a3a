//! From per-document values to one number with a standard error, as lm-eval computes them; refuses empty and
//! non-finite input.

use rayon::prelude::*;

use crate::error::require_finite;
use crate::{MetricError, PythonRandom};

/// Replicates that share one random stream; lm-eval seeds chunk `c` with `c`, so this is part of the result.
const BOOTSTRAP_CHUNK: usize = 1000;

/// Arithmetic mean.
///
/// # Errors
/// On no values and on values that are not finite.
pub fn mean(values: &[f64]) -> Result<f64, MetricError> {
    if values.is_empty() {
        return Err(MetricError::Empty {
            metric: "mean",
            unit: "value",
        });
    }
    require_finite("mean", values)?;
    Ok(plain_mean(values))
}

/// Standard error of the mean: sample standard deviation (n − 1) over √n; `None` for fewer than two values.
///
/// # Errors
/// On values that are not finite.
pub fn mean_stderr(values: &[f64]) -> Result<Option<f64>, MetricError> {
    require_finite("standard error", values)?;
    Ok(sample_deviation(values).map(|deviation| deviation / (values.len() as f64).sqrt()))
}

/// Perplexity per document: exp of the negated mean of log-likelihoods (nats).
///
/// # Errors
/// On no values and on values that are not finite.
pub fn perplexity(logprobs: &[f64]) -> Result<f64, MetricError> {
    mean(logprobs).map(|mean| (-mean).exp())
}

/// Standard error of `aggregate` by lm-eval's seeded bootstrap: the sample standard deviation of the aggregate over
/// `replicates` resamples with replacement. Replicates come in chunks of 1000, chunk `c` drawn by `random.Random(c)`;
/// an incomplete last chunk is left out, as upstream. `None` for fewer than two values or replicates.
///
/// # Errors
/// On values that are not finite, and where `aggregate` fails.
pub fn bootstrap_stderr(
    values: &[f64],
    replicates: usize,
    aggregate: impl Fn(&[f64]) -> Result<f64, MetricError> + Sync,
) -> Result<Option<f64>, MetricError> {
    require_finite("bootstrap", values)?;
    if values.len() < 2 || replicates < 2 {
        return Ok(None);
    }
    let chunk = BOOTSTRAP_CHUNK.min(replicates);
    let aggregates: Result<Vec<Vec<f64>>, MetricError> = (0..replicates / chunk)
        .into_par_iter()
        .map(|seed| resampled_aggregates(values, seed as u64, chunk, &aggregate))
        .collect();
    Ok(sample_deviation(&aggregates?.concat()))
}

fn resampled_aggregates(
    values: &[f64],
    seed: u64,
    replicates: usize,
    aggregate: &impl Fn(&[f64]) -> Result<f64, MetricError>,
) -> Result<Vec<f64>, MetricError> {
    let mut random = PythonRandom::new(seed);
    let mut resample = vec![0.0; values.len()];
    (0..replicates)
        .map(|_| {
            resample.fill_with(|| values[random.choice_index(values.len())]);
            aggregate(&resample)
        })
        .collect()
}

/// Python's `sum(values) / len(values)`: added in order, so that the last bit agrees too.
fn plain_mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sample_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = plain_mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_reproduces_lm_evals_replicates() {
        let stderr = bootstrap_stderr(&[-1.0, -2.0, -3.0, -0.5], 1000, perplexity).unwrap();
        assert_eq!(stderr, Some(2.883_890_057_240_552_4));
    }

    #[test]
    fn one_value_has_no_standard_error() {
        assert_eq!(mean_stderr(&[0.5]), Ok(None));
        assert_eq!(bootstrap_stderr(&[0.5], 1000, mean), Ok(None));
    }

    #[test]
    fn stderr_of_half_and_half() {
        // p(1-p)/(n-1) under the root.
        let stderr = mean_stderr(&[1.0, 0.0, 1.0, 0.0]).unwrap().unwrap();
        assert!((stderr - (0.25_f64 / 3.0).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn nan_and_nothing_are_errors() {
        assert!(matches!(
            mean(&[1.0, f64::NAN]),
            Err(MetricError::NotFinite { index: 1, .. })
        ));
        assert!(matches!(mean(&[]), Err(MetricError::Empty { .. })));
    }
}
