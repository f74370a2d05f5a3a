//! Gradient ascent: training backwards on the forget answers, the baseline of the field. It refuses a retain set: nothing holds the model together.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Gradient ascent (Jang et al., 2023): maximises the loss that fine-tuning on the forget set would minimise.
    pub struct GradAscent {}
}

impl Method for GradAscent {
    const ID: &'static str = "grad_ascent";
    const NEEDS: Needs = Needs::NONE;

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = -step.nll(Forget);
        step.log("forget_loss", &forget);
        Ok(forget)
    }
}

export_method!(GradAscent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_the_mean_log_probability_over_tokens_not_over_sequences() {
        let rig = TestRig::new().policy(Forget, &[&[-1.0, -2.0], &[-6.0]]);
        let outcome = rig.run(&GradAscent::default()).unwrap();
        assert_eq!(outcome.logged("forget_loss"), Some(-3.0));
        assert_eq!(outcome.logged("forget_loss"), Some(outcome.loss));
        assert_eq!(outcome.gradient(Forget), [1.0 / 3.0; 3]);
    }
}
