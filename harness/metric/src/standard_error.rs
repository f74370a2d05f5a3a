//! Standard errors of one task's scores: of means by formula, of other aggregates by lm-eval's bootstrap; refuses to
//! estimate from fewer than two values.

use rayon::prelude::*;

use crate::aggregation::plain_mean;
use crate::error::require_finite;
use crate::{MetricError, PythonRandom};

/// Replicates that share one random stream; lm-eval seeds chunk `c` with `c`, so this is part of the result.
const BOOTSTRAP_CHUNK: usize = 1000;

/// Standard error of the mean: sample standard deviation (n − 1) over √n; `None` for fewer than two values.
///
/// # Errors
/// On values that are not finite.
pub fn mean_stderr(values: &[f64]) -> Result<Option<f64>, MetricError> {
    require_finite("standard error", values)?;
    Ok(sample_deviation(values).map(|deviation| deviation / (values.len() as f64).sqrt()))
}

/// Standard error of `aggregate` by lm-eval's seeded bootstrap: the sample standard deviation of the aggregate over
/// `replicates` resamples with replacement. Replicates come in chunks of 1000, chunk `c` drawn by `random.Random(c)`;
/// an incomplete last chunk is left out, as upstream. `None` for fewer than two items or replicates.
///
/// An item is whatever `aggregate` needs of a document; sums that it can add up are faster than texts. lm-eval uses at most
/// 100 replicates for BLEU, chrF and TER.
///
/// # Errors
/// Where `aggregate` fails on a resample.
pub fn bootstrap_stderr<T: Clone + Sync>(
    items: &[T],
    replicates: usize,
    aggregate: impl Fn(&[T]) -> Result<f64, MetricError> + Sync,
) -> Result<Option<f64>, MetricError> {
    if items.len() < 2 || replicates < 2 {
        return Ok(None);
    }
    let chunk = BOOTSTRAP_CHUNK.min(replicates);
    let aggregates: Result<Vec<Vec<f64>>, MetricError> = (0..replicates / chunk)
        .into_par_iter()
        .map(|seed| resampled_aggregates(items, seed as u64, chunk, &aggregate))
        .collect();
    Ok(sample_deviation(&aggregates?.concat()))
}

fn resampled_aggregates<T: Clone>(
    items: &[T],
    seed: u64,
    replicates: usize,
    aggregate: &impl Fn(&[T]) -> Result<f64, MetricError>,
) -> Result<Vec<f64>, MetricError> {
    let mut random = PythonRandom::new(seed);
    let mut resample = Vec::with_capacity(items.len());
    (0..replicates)
        .map(|_| {
            resample.clear();
            resample.extend(
                items
                    .iter()
                    .map(|_| items[random.choice_index(items.len())].clone()),
            );
            aggregate(&resample)
        })
        .collect()
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
    use crate::{mean, perplexity};

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
    fn a_failing_aggregate_fails_the_bootstrap() {
        assert!(bootstrap_stderr(&[f64::NAN, f64::NAN], 10, mean).is_err());
    }
}
