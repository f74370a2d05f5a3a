//! Times of which some are only known to be longer: never dropped, never taken for reached.

use crate::MetricError;
use crate::error::require_finite;

/// A time until something happened, or until the watch ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurvivalTime {
    /// The time, in whatever unit.
    pub time: f64,
    /// Whether it happened then; otherwise it takes longer than `time`.
    pub is_reached: bool,
}

/// Survival function of times (Kaplan and Meier, 1958): which share has not happened yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Survival {
    /// Times at which something happened, with the share that is left after each.
    steps: Vec<(f64, f64)>,
    /// The longest watch.
    end: f64,
}

impl Survival {
    /// Estimates it.
    ///
    /// # Errors
    /// On no times, and on times that are not finite.
    pub fn new(times: &[SurvivalTime]) -> Result<Self, MetricError> {
        if times.is_empty() {
            let (metric, unit) = ("survival", "time");
            return Err(MetricError::Empty { metric, unit });
        }
        let mut times = times.to_vec();
        let values: Vec<f64> = times.iter().map(|time| time.time).collect();
        require_finite("survival", &values)?;
        times.sort_by(|a, b| a.time.total_cmp(&b.time));
        let (mut steps, mut left) = (Vec::new(), 1.0);
        for together in times.chunk_by(|a, b| a.time.total_cmp(&b.time).is_eq()) {
            let time = together[0].time;
            let watched = times.iter().filter(|other| other.time >= time).count() as f64;
            let happened = together.iter().filter(|time| time.is_reached).count() as f64;
            if happened > 0.0 {
                left *= 1.0 - happened / watched;
                steps.push((time, left));
            }
        }
        let end = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
        Ok(Self { steps, end })
    }

    /// The time by which half have happened; where that was not seen, the end of the watch as a bound.
    pub fn median(&self) -> SurvivalTime {
        let half = self.steps.iter().find(|&&(_, left)| left <= 0.5);
        half.map_or(
            SurvivalTime {
                time: self.end,
                is_reached: false,
            },
            |&(time, _)| SurvivalTime {
                time,
                is_reached: true,
            },
        )
    }

    /// Mean time up to `horizon`: the area under the survival function from 0.
    pub fn restricted_mean(&self, horizon: f64) -> f64 {
        let (mut area, mut from, mut left) = (0.0, 0.0, 1.0);
        for &(time, after) in self.steps.iter().take_while(|(time, _)| *time < horizon) {
            area += left * (time - from);
            (from, left) = (time, after);
        }
        area + left * (horizon - from)
    }
}

#[cfg(test)]
mod tests {
    use super::{Survival, SurvivalTime};

    fn times(times: &[(f64, bool)]) -> Survival {
        let time = |&(time, is_reached): &(f64, bool)| SurvivalTime { time, is_reached };
        Survival::new(&times.iter().map(time).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn as_scipy_estimates() {
        // scipy.stats.ecdf(CensoredData(uncensored=[6, 7, 10, 13], right=[6, 9, 11])).sf
        let survival = times(&[
            (6.0, true),
            (6.0, false),
            (7.0, true),
            (9.0, false),
            (10.0, true),
            (11.0, false),
            (13.0, true),
        ]);
        let shares: Vec<f64> = survival.steps.iter().map(|step| step.1).collect();
        for (got, want) in shares.iter().zip(SCIPY) {
            assert!((got - want).abs() < 1e-12, "{shares:?}");
        }
        assert!((survival.median().time - 10.0).abs() < 1e-12);
        let area = 6.0 + SCIPY[0] + 3.0 * SCIPY[1] + 2.0 * SCIPY[2];
        assert!((survival.restricted_mean(12.0) - area).abs() < 1e-12);
    }

    const SCIPY: [f64; 4] = [6.0 / 7.0, 24.0 / 35.0, 16.0 / 35.0, 0.0];

    #[test]
    fn what_was_never_seen_is_a_bound() {
        let survival = times(&[(4.0, true), (12.0, false), (12.0, false)]);
        let median = survival.median();
        assert!((median.time - 12.0).abs() < 1e-12 && !median.is_reached);
        assert!(Survival::new(&[]).is_err());
    }
}
