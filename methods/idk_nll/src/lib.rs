//! Refusal training: the forget prompts are answered with refusals. It refuses to push the old answers down: they only lose to the refusals.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Refusal training (preference optimisation in Maini et al., 2024): ordinary training on refusals to the forget prompts.
    pub struct IdkNll {
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
    }
}

impl Method for IdkNll {
    const ID: &'static str = "idk_nll";
    const NEEDS: Needs = Needs::RETAIN.and(Needs::ALTERNATE);

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = step.nll(Alternate);
        let retain = step.nll(Retain);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(IdkNll);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_and_retain_answers_push() {
        let outcome = TestRig::new()
            .policy(Forget, &[&[-1.0]])
            .policy(Alternate, &[&[-2.0, -4.0]])
            .policy(Retain, &[&[-0.5]])
            .run(&IdkNll::default())
            .unwrap();
        assert!((outcome.loss - 3.5).abs() < 1e-12);
        assert_eq!(outcome.gradient(Forget), [0.0]);
        assert_eq!(outcome.gradient(Alternate), [-0.5, -0.5]);
    }
}
