//! Direct preference optimisation for unlearning: another answer is preferred to the one that must go. It refuses to know where the other answer comes from.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Direct preference optimisation (Rafailov et al., 2023) with a refusal or an alternative preferred to the forget answer.
    pub struct Dpo {
        /// Inverse temperature, above 0.
        beta: f64 = 0.1,
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
        /// Retain loss: `nll`, or `kl` for the divergence from the original at every position.
        retain_loss: RetainLoss = RetainLoss::Nll,
    }
}

impl Method for Dpo {
    const ID: &'static str = "dpo";
    const NEEDS: Needs = RetainLoss::NEEDS.and(Needs::ALTERNATE);

    fn check(&self) -> Result<()> {
        if self.beta > 0.0 {
            return Ok(());
        }
        Err(Error::new(format!(
            "beta must be above 0, got {}",
            self.beta
        )))
    }

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let log_ratio = |role| step.policy(role) - step.reference(role);
        let margin = log_ratio(Alternate) - log_ratio(Forget);
        let forget = -2.0 / self.beta * (self.beta * margin).log_sigmoid().mean();
        let retain = self.retain_loss.of(step);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(Dpo);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_original_the_forget_loss_is_two_over_beta_times_log_two_and_pulls_both_ways() {
        let (forget, alternate): (&[&[f64]], &[&[f64]]) = (&[&[-1.0, -2.0]], &[&[-4.0]]);
        let outcome = TestRig::new()
            .policy(Forget, forget)
            .reference(Forget, forget)
            .policy(Alternate, alternate)
            .reference(Alternate, alternate)
            .policy(Retain, &[&[-0.5]])
            .run(&Dpo::default())
            .unwrap();
        let expected = 20.0 * 2.0_f64.ln();
        assert!((outcome.logged("forget_loss").unwrap() - expected).abs() < 1e-9);
        assert_eq!(outcome.gradient(Forget), [1.0, 1.0]);
        assert_eq!(outcome.gradient(Alternate), [-1.0]);
    }
}
