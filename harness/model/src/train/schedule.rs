//! Learning-rate schedules: linear warm-up, then constant or linear decay to zero.

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
}

impl FromStr for ScheduleKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "constant" => Ok(Self::Constant),
            "linear" => Ok(Self::Linear),
            other => Err(format!("unknown schedule {other}: constant or linear")),
        }
    }
}

impl fmt::Display for ScheduleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
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
    /// The learning rate of step `step`, counted from 0 (as transformers' `get_linear_schedule_with_warmup` counts).
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return self.peak * step as f64 / self.warmup_steps as f64;
        }
        match self.kind {
            ScheduleKind::Constant => self.peak,
            ScheduleKind::Linear => {
                let decay_steps = self.total_steps.saturating_sub(self.warmup_steps).max(1);
                self.peak * self.total_steps.saturating_sub(step) as f64 / decay_steps as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, ScheduleKind};

    #[test]
    fn linear_rises_and_falls_to_zero() {
        let schedule = Schedule {
            peak: 1.0,
            warmup_steps: 2,
            total_steps: 6,
            kind: ScheduleKind::Linear,
        };
        let rates: Vec<f64> = (0..7).map(|step| schedule.rate(step)).collect();
        assert_eq!(rates, [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]);
    }
}
