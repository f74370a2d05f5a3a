//! Simple negative preference optimisation: NPO on mean log-probabilities, without a reference. It refuses sums: long answers weigh as short ones.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// `SimNPO` (Fan et al., 2024): negative preference optimisation with length-normalised answers and no reference model.
    pub struct SimNpo {
        /// Inverse temperature, above 0.
        beta: f64 = 4.5,
        /// Margin in nats a token: what an answer's mean loss must exceed to count as forgotten.
        delta: f64 = 0.0,
        /// Weight of the forget loss.
        gamma: f64 = 0.125,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
    }
}

impl Method for SimNpo {
    const ID: &'static str = "simnpo";
    const NEEDS: Needs = Needs::RETAIN;

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
        let mean = step.mean_per_sequence(Forget, &step.token_logprobs(Forget));
        let margin = -mean - self.delta;
        let forget = -2.0 / self.beta * (self.beta * margin).log_sigmoid().mean();
        let retain = step.nll(Retain);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(SimNpo);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequences_gradient_is_two_over_its_length_times_a_sigmoid() {
        let method = SimNpo {
            beta: 2.0,
            delta: 0.7,
            gamma: 1.0,
            alpha: 0.0,
        };
        let outcome = TestRig::new()
            .policy(Forget, &[&[-1.0, -2.0], &[-0.3]])
            .policy(Retain, &[&[-0.5]])
            .run(&method)
            .unwrap();
        // dL/dS = -(2/n) σ(β(δ - S/n)) for S the sequence's loss, and a half for the mean of two sequences.
        let expected =
            |length: f64, loss: f64| 1.0 / length / (1.0 + (-2.0 * (0.7 - loss / length)).exp());
        let gradient = outcome.gradient(Forget);
        assert!((gradient[0] - expected(2.0, 3.0)).abs() < 1e-12);
        assert!((gradient[2] - expected(1.0, 0.3)).abs() < 1e-12);
    }
}
