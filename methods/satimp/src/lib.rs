//! `SatImp`: token weights that combine saturation and importance. It refuses to differentiate the weights.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// `SatImp` (Yang et al., 2025): ascent in which tokens weigh by how far they are from forgotten and from certain.
    pub struct SatImp {
        /// Power of the probability, saturation.
        beta1: f64 = 5.0,
        /// Power of what is missing to certainty, importance.
        beta2: f64 = 1.0,
        /// Weight of the forget loss.
        gamma: f64 = 0.1,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
    }
}

impl SatImp {
    /// p^β1 · (1 − p)^β2 of each token, as constants.
    fn weights(&self, logprobs: &Tensor) -> Tensor {
        let logprobs = logprobs.detach();
        let saturation = (self.beta1 * &logprobs).exp();
        // 0 to the power of 0 is 1.
        if self.beta2 == 0.0 {
            return saturation;
        }
        let importance = (self.beta2 * (1.0 - logprobs.exp()).log()).exp();
        saturation * importance
    }
}

impl Method for SatImp {
    const ID: &'static str = "satimp";
    const NEEDS: Needs = Needs::RETAIN;

    fn check(&self) -> Result<()> {
        if self.beta1 >= 0.0 && self.beta2 >= 0.0 {
            return Ok(());
        }
        let (beta1, beta2) = (self.beta1, self.beta2);
        Err(Error::new(format!(
            "beta1 and beta2 must not be negative, got {beta1} and {beta2}"
        )))
    }

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let logprobs = step.token_logprobs(Forget);
        let forget = (self.weights(&logprobs) * logprobs).mean();
        let retain = step.nll(Retain);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(SatImp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_vanish_where_nothing_or_everything_is_left() {
        let method = SatImp {
            beta1: 2.0,
            beta2: 0.5,
            gamma: 1.0,
            alpha: 0.0,
        };
        let outcome = TestRig::new()
            .policy(Forget, &[&[0.0, -50.0, -1.0]])
            .policy(Retain, &[&[-0.5]])
            .run(&method)
            .unwrap();
        let p = (-1.0_f64).exp();
        let gradient = outcome.gradient(Forget);
        assert!(gradient[0].abs() < 1e-20);
        assert!(gradient[1] < 1e-20);
        assert!((gradient[2] - p * p * (1.0 - p).sqrt() / 3.0).abs() < 1e-12);
    }
}
