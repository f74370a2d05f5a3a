//! my_method: one sentence on what it does, and what it refuses to do.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// What the method is, in a sentence with its paper: users see it in `harness methods list`.
    pub struct MyMethodLoss {
        /// Forget answers whose loss has reached this many nats a token are pushed no further.
        limit: f64 = 4.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
        /// What holds the retain set: `nll`, or `kl` for the divergence from the original.
        retain_loss: RetainLoss = RetainLoss::Nll,
    }
}

impl Method for MyMethodLoss {
    const ID: &'static str = "my_method";
    // What a step must offer besides the forget batch: declare no more than is used.
    const NEEDS: Needs = RetainLoss::NEEDS;

    fn check(&self) -> Result<()> {
        if self.limit > 0.0 {
            return Ok(());
        }
        Err(Error::new(format!(
            "limit must be above 0, got {}",
            self.limit
        )))
    }

    // Gradient ascent with a brake: replace it by your loss. The harness takes its gradient and the step.
    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = -step.nll(Forget).minimum(&step.constant(self.limit));
        let retain = self.retain_loss.of(step);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(forget + self.alpha * retain)
    }
}

export_method!(MyMethodLoss);

#[cfg(test)]
mod tests {
    use super::*;

    // Log-probabilities of answer tokens, a slice a sequence. The rig gives the loss and its exact derivatives.
    fn rig(forget: &[&[f64]]) -> TestRig {
        TestRig::new()
            .policy(Forget, forget)
            .policy(Retain, &[&[-1.0]])
    }

    #[test]
    fn below_the_limit_answers_become_less_likely() {
        let outcome = rig(&[&[-1.0, -2.0]])
            .run(&MyMethodLoss::default())
            .unwrap();
        assert_eq!(outcome.logged("forget_loss"), Some(-1.5));
        assert_eq!(outcome.gradient(Forget), [0.5, 0.5]);
        assert_eq!(outcome.gradient(Retain), [-1.0]);
    }

    #[test]
    fn above_the_limit_nothing_pushes() {
        let outcome = rig(&[&[-9.0, -7.0]])
            .run(&MyMethodLoss::default())
            .unwrap();
        assert_eq!(outcome.logged("forget_loss"), Some(-4.0));
        assert_eq!(outcome.gradient(Forget), [0.0, 0.0]);
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        let method = MyMethodLoss {
            limit: 0.0,
            ..MyMethodLoss::default()
        };
        assert!(rig(&[&[-1.0]]).run(&method).is_err());
    }
}
