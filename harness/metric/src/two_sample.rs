//! Whether two samples come from one distribution, and which tends to be larger: the Kolmogorov–Smirnov test with its exact
//! p-value, and the area under the ROC curve. Assumes no distribution and refuses values that are not finite.

use crate::MetricError;
use crate::error::require_finite;

/// Outcome of a two-sided two-sample Kolmogorov–Smirnov test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KolmogorovSmirnov {
    /// Largest distance between the two empirical distribution functions, from 0 to 1.
    pub statistic: f64,
    /// Probability of a distance at least as large if both samples come from one continuous distribution.
    pub p_value: f64,
}

impl KolmogorovSmirnov {
    /// log10 of the p-value, which tables of forget quality are easier to read by; −∞ below 1e-308.
    pub fn log10_p(&self) -> f64 {
        self.p_value.log10()
    }
}

/// Two-sided two-sample Kolmogorov–Smirnov test: TOFU's forget quality, where the samples are truth ratios on one forget set
/// and the second model never saw it.
///
/// The p-value is exact for every size (for equal sizes Gnedenko and Korolyuk, 1951; in general Hodges, 1958), where scipy
/// turns to an approximation above 10,000 values. Time grows with the product of the sizes. Below 1e-308 it is 0.
///
/// # Errors
/// On an empty sample and on values that are not finite.
pub fn kolmogorov_smirnov(left: &[f64], right: &[f64]) -> Result<KolmogorovSmirnov, MetricError> {
    require_sample("KS test", left)?;
    require_sample("KS test", right)?;
    let distance = largest_distance(left, right);
    let (left, right) = (left.len() as u64, right.len() as u64);
    Ok(KolmogorovSmirnov {
        statistic: distance as f64 / (left * right) as f64,
        p_value: share_of_paths_as_far(left, right, distance),
    })
}

/// Area under the ROC curve: the probability that a value of `positives` is above one of `negatives`, where equals count one
/// half. In membership attacks `positives` are scores of texts that were never trained on.
///
/// # Errors
/// On an empty sample and on values that are not finite.
pub fn area_under_roc(negatives: &[f64], positives: &[f64]) -> Result<f64, MetricError> {
    require_sample("AUC", negatives)?;
    require_sample("AUC", positives)?;
    let negatives = sorted(negatives);
    let won_twice: usize = positives
        .iter()
        .map(|value| {
            let below = negatives.partition_point(|other| other < value);
            let not_above = negatives.partition_point(|other| other <= value);
            below + not_above
        })
        .sum();
    Ok(won_twice as f64 / (2 * negatives.len() * positives.len()) as f64)
}

fn require_sample(metric: &'static str, sample: &[f64]) -> Result<(), MetricError> {
    if sample.is_empty() {
        let unit = "value in each sample";
        return Err(MetricError::Empty { metric, unit });
    }
    require_finite(metric, sample)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// Largest distance of the distribution functions, times the product of the sizes: a whole number.
fn largest_distance(left: &[f64], right: &[f64]) -> u64 {
    let (left, right) = (sorted(left), sorted(right));
    let distance = |value: &f64| {
        let up_to = |sample: &[f64]| sample.partition_point(|other| other <= value);
        (up_to(&left) * right.len()).abs_diff(up_to(&right) * left.len()) as u64
    };
    left.iter().chain(&right).map(distance).max().unwrap_or(0)
}

/// Share of the orders of two samples that are at least as far apart. An order is a path over a grid, one step for each
/// value; each cell holds the share of the paths to it that have been that far from the diagonal.
fn share_of_paths_as_far(left: u64, right: u64, distance: u64) -> f64 {
    let mut shares = vec![0.0; right as usize + 1];
    for row in 0..=left {
        for column in 0..=right {
            let index = column as usize;
            shares[index] = if (row * right).abs_diff(column * left) >= distance {
                1.0
            } else {
                // A path comes from the row before or the column before, in proportion to the paths there.
                let from_row = if row > 0 {
                    shares[index] * row as f64
                } else {
                    0.0
                };
                let from_column = if column > 0 {
                    shares[index - 1] * column as f64
                } else {
                    0.0
                };
                (from_row + from_column) / (row + column).max(1) as f64
            };
        }
    }
    shares[right as usize]
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn samples_apart_give_the_smallest_p() {
        // TOFU's saturated tables: 2 / C(2n, n) for n values in each sample.
        let low: Vec<f64> = (0..400).map(f64::from).collect();
        let high: Vec<f64> = (400..800).map(f64::from).collect();
        let test = kolmogorov_smirnov(&low, &high).unwrap();
        assert_eq!(test.statistic, 1.0);
        assert!((test.p_value / 1.06e-239 - 1.0).abs() < 0.005, "{test:?}");
        assert_eq!(area_under_roc(&low, &high), Ok(1.0));
    }

    #[test]
    fn a_sample_and_itself() {
        let sample = [0.1, 0.2, 0.2, 0.9];
        let test = kolmogorov_smirnov(&sample, &sample).unwrap();
        assert_eq!((test.statistic, test.p_value), (0.0, 1.0));
        assert_eq!(area_under_roc(&sample, &sample), Ok(0.5));
    }

    #[test]
    fn nothing_and_nan_are_errors() {
        assert!(kolmogorov_smirnov(&[], &[1.0]).is_err());
        assert!(area_under_roc(&[1.0], &[f64::NAN]).is_err());
    }
}
