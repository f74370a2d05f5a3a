//! Weighted gradient ascent: tokens push by their own probability. It refuses to spend effort on what is forgotten already.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Weighted gradient ascent (Wang et al., 2025): ascent in which each token weighs its probability to the power of beta.
    pub struct Wga {
        /// Power of the weight: 0 is gradient ascent, 1 lowers mean probabilities.
        beta: f64 = 1.0,
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
    }
}

impl Method for Wga {
    const ID: &'static str = "wga";
    const NEEDS: Needs = Needs::RETAIN;

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let logprobs = step.token_logprobs(Forget);
        let weights = (self.beta * logprobs.detach()).exp();
        let forget = (weights * logprobs).mean();
        let retain = step.nll(Retain);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(Wga);

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(beta: f64) -> Vec<f64> {
        let method = Wga {
            beta,
            ..Wga::default()
        };
        let rig = TestRig::new().policy(Forget, &[&[-1.0, -0.25]]);
        let outcome = rig.policy(Retain, &[&[-0.5]]).run(&method).unwrap();
        outcome.gradient(Forget).to_vec()
    }

    #[test]
    fn with_beta_one_the_gradient_is_that_of_the_mean_probability() {
        let expected = [0.5 * (-1.0_f64).exp(), 0.5 * (-0.25_f64).exp()];
        for (slope, expected) in gradient(1.0).into_iter().zip(expected) {
            assert!((slope - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn with_beta_zero_it_is_gradient_ascent() {
        assert_eq!(gradient(0.0), [0.5, 0.5]);
    }
}
