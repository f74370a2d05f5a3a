//! Intervals and tests by resampling seeds and documents. Draws one set of documents for all models, so that differences are
//! paired; refuses an interval of a single value.

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::{MetricError, PythonRandom};

/// What is resampled: runs that differ in their seed alone, each of them scored on the same documents.
#[derive(Clone, Copy, Debug)]
pub struct Units<'a> {
    /// Number of seeds.
    pub seeds: usize,
    /// Number of documents of each set; sets are drawn independently of each other.
    pub documents: &'a [usize],
}

/// One draw with replacement, or the units as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resample {
    /// Indices of seeds, as many as there are.
    pub seeds: Vec<usize>,
    /// Indices of documents of each set, as many as there are.
    pub documents: Vec<Vec<usize>>,
}

/// Ends of a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A seeded bootstrap. The same settings and units give the same draws on any number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Draws.
    pub replicates: usize,
    /// Share of intervals that hold the truth, such as 0.95.
    pub confidence: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            replicates: 2000,
            confidence: 0.95,
            seed: 0,
        }
    }
}

impl Units<'_> {
    /// Every unit once.
    pub fn all(&self) -> Resample {
        Resample {
            seeds: (0..self.seeds).collect(),
            documents: self.documents.iter().map(|&n| (0..n).collect()).collect(),
        }
    }

    fn draw(&self, random: &mut PythonRandom) -> Resample {
        let mut of = |n: usize| (0..n).map(|_| random.choice_index(n)).collect();
        Resample {
            seeds: of(self.seeds),
            documents: self.documents.iter().map(|&n| of(n)).collect(),
        }
    }

    /// For each set of more than one unit, the draws that lack one of them.
    fn without_one(&self) -> Vec<Vec<Resample>> {
        let all = self.all();
        let lacking = |change: &dyn Fn(&mut Resample) -> &mut Vec<usize>, n: usize| {
            let without = |unit: usize| {
                let mut resample = all.clone();
                change(&mut resample).remove(unit);
                resample
            };
            (n > 1).then(|| (0..n).map(without).collect::<Vec<_>>())
        };
        let of_seeds = lacking(&|resample| &mut resample.seeds, self.seeds);
        let of_documents = (self.documents.iter().enumerate())
            .map(|(set, &n)| lacking(&|resample| &mut resample.documents[set], n));
        std::iter::once(of_seeds)
            .chain(of_documents)
            .flatten()
            .collect()
    }
}

impl Bootstrap {
    /// The statistic of every draw.
    ///
    /// # Errors
    /// Where the statistic fails on a draw, or without units.
    pub fn distribution(
        &self,
        units: Units<'_>,
        statistic: &(impl Fn(&Resample) -> Result<f64, MetricError> + Sync),
    ) -> Result<Vec<f64>, MetricError> {
        if units.seeds == 0 || units.documents.contains(&0) {
            let (metric, unit) = ("bootstrap", "seed and document");
            return Err(MetricError::Empty { metric, unit });
        }
        (0..self.replicates as u64)
            .into_par_iter()
            .map(|replicate| {
                let seed = self.seed.wrapping_mul(1 << 32).wrapping_add(replicate);
                statistic(&units.draw(&mut PythonRandom::new(seed)))
            })
            .collect()
    }

    /// The statistic of the units as they are and of every draw.
    ///
    /// # Errors
    /// Where the statistic fails on a draw, or without units.
    pub fn sample(
        &self,
        units: Units<'_>,
        statistic: &(impl Fn(&Resample) -> Result<f64, MetricError> + Sync),
    ) -> Result<Sampled, MetricError> {
        let mut draws = self.distribution(units, statistic)?;
        draws.sort_by(f64::total_cmp);
        let without_one = units.without_one();
        let acceleration = (!without_one.is_empty()).then(|| acceleration(&without_one, statistic));
        Ok(Sampled {
            observed: statistic(&units.all())?,
            draws,
            acceleration: acceleration.transpose()?,
            confidence: self.confidence,
        })
    }

    /// The interval of a statistic: [`Sampled::interval`].
    ///
    /// # Errors
    /// As [`Self::sample`].
    pub fn interval(
        &self,
        units: Units<'_>,
        statistic: &(impl Fn(&Resample) -> Result<f64, MetricError> + Sync),
    ) -> Result<Option<Interval>, MetricError> {
        Ok(self.sample(units, statistic)?.interval())
    }
}

/// A statistic and what it is on every draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    observed: f64,
    /// Sorted.
    draws: Vec<f64>,
    /// Absent where there are no two units to tell apart.
    acceleration: Option<f64>,
    confidence: f64,
}

impl Sampled {
    /// The statistic of the units as they are.
    pub fn observed(&self) -> f64 {
        self.observed
    }

    /// Bias-corrected and accelerated interval (Efron, 1987; its form for several samples, Efron and Tibshirani, 1993, 14.3);
    /// `None` where no set has two units.
    pub fn interval(&self) -> Option<Interval> {
        let (acceleration, draws) = (self.acceleration?, &self.draws);
        let count = draws.len() as f64;
        let below = draws.partition_point(|&value| value < self.observed) as f64;
        let not_above = draws.partition_point(|&value| value <= self.observed) as f64;
        let share_below = f64::midpoint(below, not_above) / count;
        let normal = Normal::standard();
        // Draws all on one side of the statistic leave no bias to speak of.
        let bias = if (0.0..1.0).contains(&share_below) && share_below > 0.0 {
            normal.inverse_cdf(share_below)
        } else {
            0.0
        };
        let end = |tail: f64| {
            let shifted = bias + normal.inverse_cdf(tail);
            let share = normal.cdf(bias + shifted / acceleration.mul_add(-shifted, 1.0));
            quantile(draws, share)
        };
        let tail = (1.0 - self.confidence) / 2.0;
        Some(Interval {
            low: end(tail),
            high: end(1.0 - tail),
        })
    }

    /// Two-sided p-value of the statistic being zero: twice the share of draws on the rarer side of zero, at least twice
    /// 1 / (draws + 1), at most 1.
    pub fn p_value(&self) -> f64 {
        let share = |on_side: fn(f64) -> bool| {
            let count = self.draws.iter().filter(|&&value| on_side(value)).count();
            (count + 1) as f64 / (self.draws.len() + 1) as f64
        };
        let rarer = share(|value| value <= 0.0).min(share(|value| value >= 0.0));
        (2.0 * rarer).min(1.0)
    }
}

/// Skewness of the statistic's dependence on single units.
fn acceleration(
    without_one: &[Vec<Resample>],
    statistic: &impl Fn(&Resample) -> Result<f64, MetricError>,
) -> Result<f64, MetricError> {
    let (mut cubes, mut squares) = (0.0, 0.0);
    for set in without_one {
        let values = set.iter().map(statistic).collect::<Result<Vec<_>, _>>()?;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        for value in values {
            let influence = (n - 1.0) * (mean - value) / n;
            cubes += influence.powi(3);
            squares += influence.powi(2);
        }
    }
    if squares > 0.0 {
        Ok(cubes / (6.0 * squares.powf(1.5)))
    } else {
        Ok(0.0)
    }
}

/// Linear between the sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let part = place - place.floor();
    sorted[low] + (sorted[high] - sorted[low]) * part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean;

    const SKEWED: [f64; 12] = [
        0.1, 0.2, 0.15, 0.3, 0.25, 0.9, 0.05, 0.12, 2.2, 0.4, 0.33, 0.18,
    ];

    fn mean_of(values: &[f64]) -> impl Fn(&Resample) -> Result<f64, MetricError> + Sync {
        |resample| {
            let drawn: Vec<f64> = resample.documents[0].iter().map(|&i| values[i]).collect();
            mean(&drawn)
        }
    }

    fn one_seed(documents: &[usize]) -> Units<'_> {
        Units {
            seeds: 1,
            documents,
        }
    }

    #[test]
    fn the_interval_is_scipys_bca() {
        // scipy.stats.bootstrap((SKEWED,), np.mean, n_resamples=400_000, method="BCa").
        let bootstrap = Bootstrap {
            replicates: 40_000,
            ..Bootstrap::default()
        };
        let sampled = bootstrap.sample(one_seed(&[12]), &mean_of(&SKEWED));
        let Interval { low, high } = sampled.unwrap().interval().unwrap();
        assert!((low - 0.2225).abs() < 0.004, "{low}");
        assert!((high - 1.0333).abs() < 0.02, "{high}");
    }

    #[test]
    fn draws_do_not_depend_on_threads() {
        let bootstrap = Bootstrap::default();
        let units = Units {
            seeds: 3,
            documents: &[5, 7],
        };
        let statistic =
            |resample: &Resample| Ok(resample.documents[1].iter().sum::<usize>() as f64);
        let draw = || bootstrap.distribution(units, &statistic).unwrap();
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        assert_eq!(alone.unwrap().install(draw), draw());
    }

    #[test]
    fn a_difference_of_nothing_is_a_tie_and_a_clear_one_is_not() {
        let bootstrap = Bootstrap::default();
        let units = one_seed(&[12]);
        let none = bootstrap.sample(units, &|_| Ok(0.0)).unwrap().p_value();
        assert!((none - 1.0).abs() < 1e-12);
        let clear = bootstrap
            .sample(units, &mean_of(&SKEWED))
            .unwrap()
            .p_value();
        assert!((clear - 2.0 / 2001.0).abs() < 1e-12, "{clear}");
    }

    #[test]
    fn one_value_has_no_interval_and_no_value_is_an_error() {
        let bootstrap = Bootstrap::default();
        let interval = |documents: &[usize]| bootstrap.interval(one_seed(documents), &|_| Ok(1.0));
        assert_eq!(interval(&[1]), Ok(None));
        assert!(interval(&[0, 3]).is_err());
        let same = interval(&[3]).unwrap();
        let point = Interval {
            low: 1.0,
            high: 1.0,
        };
        assert_eq!(same, Some(point));
    }
}
