//! Random labels: the forget prompts are trained with answers that belong to other prompts. It refuses to name the right answer at all.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Random labels (Golatkar et al., 2020; for language models Jia et al., 2024): trains the forget prompts with answers of the retain set.
    pub struct RandomLabel {
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
        /// Answers of the retain set for each forget prompt.
        mismatched_answers: u64 = 1,
    }
}

impl Method for RandomLabel {
    const ID: &'static str = "random_label";
    const NEEDS: Needs = Needs::RETAIN.and(Needs::MISMATCH);

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = step.nll(Mismatch);
        let retain = step.nll(Retain);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(RandomLabel);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_answers_do_not_enter() {
        let outcome = TestRig::new()
            .policy(Forget, &[&[-1.0]])
            .policy(Mismatch, &[&[-2.0, -4.0]])
            .policy(Retain, &[&[-0.5]])
            .run(&RandomLabel::default())
            .unwrap();
        assert!((outcome.loss - 3.5).abs() < 1e-12);
        assert_eq!(outcome.gradient(Forget), [0.0]);
        assert_eq!(outcome.gradient(Mismatch), [-0.5, -0.5]);
    }
}
