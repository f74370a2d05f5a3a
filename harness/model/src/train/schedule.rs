//! Learning-rate schedules: linear warm-up, then constant, or linear or cosine decay to zero.

use std::fmt;
use std::str::FromStr;

/// The shape of a schedule after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// The peak rate throughout.
    Constant,
    /// From the peak down to zero after the last step.
    Linear,
    /// From the peak along half a cosine wave down to zero after the last step.
    Cosine,
}

impl FromStr for ScheduleKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "constant" => Ok(Self::Constant),
            "linear" => Ok(Self::Linear),
            "cosine" => Ok(Self::Cosine),
            other => Err(format!(
                "unknown schedule {other}: constant, linear or cosine"
            )),
        }
    }
}

impl fmt::Display for ScheduleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
        })
    }
}

/// A learning rate for every step.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f64,
    /// Steps over which the rate rises from zero.
    pub warmup_steps: usize,
    /// All steps, warm-up included.
    pub total_steps: usize,
    /// What follows the warm-up.
    pub kind: ScheduleKind,
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0, as transformers' `get_constant_schedule_with_warmup`,
    /// `get_linear_schedule_with_warmup` and `get_cosine_schedule_with_warmup` give it; past the last step, a decayed rate
    /// stays zero.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        let decay_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let left = self.total_steps.saturating_sub(step) as f64 / decay_steps;
        match self.kind {
            ScheduleKind::Constant => self.peak,
            ScheduleKind::Linear => self.peak * left,
            ScheduleKind::Cosine => self.peak * 0.5 * (1.0 - (std::f64::consts::PI * left).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, ScheduleKind};

    fn rates(kind: ScheduleKind) -> Vec<f64> {
        let schedule = Schedule {
            peak: 1.0,
            warmup_steps: 2,
            total_steps: 6,
            kind,
        };
        (0..8).map(|step| schedule.rate(step)).collect()
    }

    #[test]
    fn linear_rises_and_falls_to_zero() {
        let want = [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0];
        assert_eq!(rates(ScheduleKind::Linear), want);
    }

    #[test]
    fn constant_stays() {
        let want = [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(rates(ScheduleKind::Constant), want);
    }

    /// transformers 5.23 up to the last step; after it, theirs rises again.
    #[test]
    fn cosine_falls_as_transformers_has_it() {
        let want = [
            0.0,
            0.5,
            1.0,
            0.853_553_390_593_273_7,
            0.5,
            0.146_446_609_406_726_27,
            0.0,
            0.0,
        ];
        for (got, want) in rates(ScheduleKind::Cosine).into_iter().zip(want) {
            assert!((got - want).abs() < 1e-15, "{got} instead of {want}");
        }
    }
}
