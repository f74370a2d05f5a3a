//! Gradient difference: ascent on the forget answers, descent on the retain answers. It refuses to bound the ascent: when to stop is the user's choice.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Gradient difference (Liu et al., 2022): gradient ascent on the forget set held back by ordinary training on the retain set.
    pub struct GradDiff {
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
    }
}

impl Method for GradDiff {
    const ID: &'static str = "grad_diff";
    const NEEDS: Needs = Needs::RETAIN;

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = -step.nll(Forget);
        let retain = step.nll(Retain);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(GradDiff);

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: &[&[f64]] = &[&[-1.0, -2.0], &[-6.0]];

    #[test]
    fn equal_batches_cancel_exactly() {
        let rig = TestRig::new().policy(Forget, ANSWERS);
        let outcome = rig
            .policy(Retain, ANSWERS)
            .run(&GradDiff::default())
            .unwrap();
        assert!(outcome.loss.abs() < 1e-12);
    }

    #[test]
    fn the_weights_scale_each_term_and_its_gradient() {
        let rig = TestRig::new()
            .policy(Forget, ANSWERS)
            .policy(Retain, &[&[-0.5, -1.5]]);
        let outcome = rig
            .run(&GradDiff {
                gamma: 0.5,
                alpha: 2.0,
            })
            .unwrap();
        assert_eq!(outcome.logged("forget_loss"), Some(-3.0));
        assert_eq!(outcome.logged("retain_loss"), Some(1.0));
        assert!((outcome.loss - 0.5).abs() < 1e-12);
        assert_eq!(outcome.gradient(Forget), [0.5 / 3.0; 3]);
        assert_eq!(outcome.gradient(Retain), [-1.0; 2]);
    }
}
