//! Negative preference optimization: unlearning as preference against the forget answers. It refuses to run unbounded: what is forgotten stops pushing.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Negative preference optimization (Zhang et al., 2024): gradient ascent that fades, sequence by sequence, as the answer becomes less likely than under the original.
    pub struct Npo {
        /// Inverse temperature, above 0: the smaller, the closer to gradient ascent.
        beta: f64 = 0.1,
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
        /// Compares means over an answer's tokens in place of sums, as the code of the WMDP experiments does.
        per_token: bool = false,
        /// Retain loss: `nll`, or `kl` for the divergence from the original at every position.
        retain_loss: RetainLoss = RetainLoss::Nll,
    }
}

impl Method for Npo {
    const ID: &'static str = "npo";
    const NEEDS: Needs = RetainLoss::NEEDS;

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
        let ratios = step.token_logprobs(Forget) - step.reference_token_logprobs(Forget);
        let log_ratio = if self.per_token {
            step.mean_per_sequence(Forget, &ratios)
        } else {
            step.sum_per_sequence(Forget, &ratios)
        };
        let forget = -2.0 / self.beta * (-self.beta * log_ratio).log_sigmoid().mean();
        let retain = self.retain_loss.of(step);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(Npo);

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &[&[f64]] = &[&[-1.0, -2.0, -0.5], &[-4.0]];
    const RETAIN: &[&[f64]] = &[&[-0.5, -1.5]];

    fn step(policy: &[&[f64]]) -> TestRig {
        let rig = TestRig::new().policy(Forget, policy);
        rig.reference(Forget, ORIGINAL).policy(Retain, RETAIN)
    }

    fn forget_only(beta: f64) -> Npo {
        Npo {
            beta,
            alpha: 0.0,
            ..Npo::default()
        }
    }

    fn assert_close(got: f64, expected: f64, tolerance: f64) {
        assert!(
            (got - expected).abs() <= tolerance,
            "{got} is not {expected}"
        );
    }

    #[test]
    fn at_the_original_the_forget_loss_is_two_over_beta_times_log_two() {
        let outcome = step(ORIGINAL).run(&Npo::default()).unwrap();
        let forget = outcome.logged("forget_loss").unwrap();
        assert_close(forget, 20.0 * 2.0_f64.ln(), 1e-12);
        assert_close(outcome.loss, forget + 1.0, 1e-12);
    }

    #[test]
    fn each_sequence_weighs_twice_its_share_of_p_to_the_beta_so_at_the_original_as_in_ascent() {
        let beta = 0.7;
        let moved: &[&[f64]] = &[&[-3.0, -2.0, -1.5], &[-1.0]];
        let p = |model: &[&[f64]], row: usize| (beta * model[row].iter().sum::<f64>()).exp();
        for policy in [moved, ORIGINAL] {
            let outcome = step(policy).run(&forget_only(beta)).unwrap();
            for (row, token) in [(0, 0), (1, 3)] {
                let weight = 2.0 * p(policy, row) / (p(policy, row) + p(ORIGINAL, row));
                assert_close(outcome.gradient(Forget)[token], weight / 2.0, 1e-12);
            }
        }
    }

    #[test]
    fn per_token_the_pull_on_an_answer_is_spread_over_its_tokens() {
        let method = Npo {
            per_token: true,
            ..forget_only(0.1)
        };
        let outcome = step(ORIGINAL).run(&method).unwrap();
        // 1 over 2 sequences, and over 3 tokens or 1.
        for (found, expected) in outcome.gradient(Forget).iter().zip([6.0, 6.0, 6.0, 2.0]) {
            assert_close(*found, 1.0 / expected, 1e-12);
        }
    }

    #[test]
    fn as_beta_goes_to_zero_it_becomes_gradient_ascent_up_to_a_constant() {
        let moved: &[&[f64]] = &[&[-1.5, -2.0, -0.5], &[-3.0]];
        let beta = 1e-6;
        let loss = |policy| step(policy).run(&forget_only(beta)).unwrap().loss;
        // The mean over sequences of log p(answer) rises by (-0.5 + 1) / 2.
        assert_close(loss(moved) - loss(ORIGINAL), 0.25, 1e-5);
    }
}
