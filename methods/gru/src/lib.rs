//! Gradient rectified unlearning: ascent without its part that would undo what is kept. It refuses to trade one for the other by a weight.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Gradient rectified unlearning (Wang et al., 2025): gradient ascent, projected off the retain gradient where the two conflict.
    pub struct Gru {
        /// Share of the running mean of retain gradients that is kept at each step; 0 takes each batch's own.
        memory: f64 = 0.0,
    }
}

impl Trainer for Gru {
    const ID: &'static str = "gru";
    const NEEDS: Needs = Needs::RETAIN;

    fn check(&self) -> Result<()> {
        if (0.0..1.0).contains(&self.memory) {
            return Ok(());
        }
        Err(Error::new("memory must be at least 0 and below 1"))
    }

    fn train(&self, run: &Training) -> Result<()> {
        let optimizer = run.adamw()?;
        let mut kept: Option<ParameterSet> = None;
        while run.steps_left() > 0 && !run.cancelled() {
            let step = run.next_batch()?;
            let (forget, retain) = (-step.nll(Forget), step.nll(Retain));
            let retain_gradient = run.gradients(&retain);
            let keep = match kept.take() {
                Some(mean) if self.memory > 0.0 => {
                    self.memory * mean + (1.0 - self.memory) * retain_gradient
                }
                _ => retain_gradient,
            };
            let forget_gradient = run.gradients(&forget);
            let agreement = forget_gradient.dot(&keep)?;
            step.log("forget_loss", &forget);
            step.log("retain_loss", &retain);
            step.log("agreement", &step.constant(agreement));
            let direction = if agreement < 0.0 {
                forget_gradient.without_component_along(&keep)?
            } else {
                forget_gradient
            };
            optimizer.step(&direction, run.learning_rate())?;
            run.finish_step(&forget)?;
            kept = Some(keep);
        }
        Ok(())
    }
}

export_trainer!(Gru);
