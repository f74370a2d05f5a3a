//! Who's Harry Potter: finds by contrast with a model that knows the forget set even better what a model says that never knew it, and learns
//! that. It refuses runs too short for both parts.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Who's Harry Potter, logit form (Eldan & Russinovich, 2023): learns to say what the original says where fine-tuning on the forget set makes nothing likelier.
    pub struct Whp {
        /// How far to go from what the reinforced model says.
        alpha: f64 = 5.0,
        /// Share of the run's steps that reinforce; the others unlearn.
        reinforce: f64 = 0.5,
        /// Unlearn at every position of the forget sequences, prompts included, not at the answers alone.
        all_positions: bool = false,
    }
}

impl Whp {
    /// How many of the run's steps reinforce: at least one, and one is left.
    fn reinforcing_steps(&self, steps: u64) -> Result<u64> {
        if steps < 2 {
            return Err(Error::new(
                "whp needs at least two steps, to reinforce and to unlearn",
            ));
        }
        let share = (self.reinforce * steps as f64).round() as u64;
        Ok(share.clamp(1, steps - 1))
    }

    /// Learns the generic answers for the steps that are left.
    fn unlearn(&self, run: &Training, reinforced: &SecondModel) -> Result<()> {
        let positions = if self.all_positions {
            Positions::Every
        } else {
            Positions::Answer
        };
        let optimizer = run.adamw()?;
        while run.steps_left() > 0 && !run.cancelled() {
            let step = run.next_batch()?;
            let loss = step
                .contrast_cross_entropy(Forget, positions, reinforced, self.alpha)
                .mean();
            step.log("generic_loss", &loss);
            optimizer.step(&run.gradients(&loss), run.learning_rate())?;
            run.finish_step(&loss)?;
        }
        Ok(())
    }
}

impl Trainer for Whp {
    const ID: &'static str = "whp";
    const NEEDS: Needs = Needs::REFERENCE.and(Needs::EVERY_POSITION);

    fn check(&self) -> Result<()> {
        if !(self.alpha.is_finite() && self.alpha >= 0.0) {
            return Err(Error::new("alpha must be a number from 0 on"));
        }
        if !(self.reinforce > 0.0 && self.reinforce < 1.0) {
            return Err(Error::new("reinforce must lie between 0 and 1"));
        }
        Ok(())
    }

    fn train(&self, run: &Training) -> Result<()> {
        let steps = self.reinforcing_steps(run.steps_left())?;
        let original = run.weights();
        run.finetune(Forget, steps, None)?;
        let reinforced = run.spawn(&run.weights())?;
        run.set_weights(&original)?;
        drop(original);
        self.unlearn(run, &reinforced)
    }
}

export_trainer!(Whp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_have_a_step() {
        let steps = |reinforce, steps| {
            let whp = Whp {
                reinforce,
                ..Whp::default()
            };
            whp.reinforcing_steps(steps)
        };
        assert_eq!(steps(0.5, 10).unwrap(), 5);
        assert_eq!(steps(0.01, 10).unwrap(), 1);
        assert_eq!(steps(0.99, 10).unwrap(), 9);
        assert!(steps(0.5, 1).is_err());
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        let refused = |whp: Whp| whp.check().is_err();
        assert!(!refused(Whp::default()));
        for alpha in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(refused(Whp {
                alpha,
                ..Whp::default()
            }));
        }
        for reinforce in [0.0, 1.0, f64::NAN] {
            assert!(refused(Whp {
                reinforce,
                ..Whp::default()
            }));
        }
    }
}
