//! KL minimisation: ascent on the forget answers while the retain set's whole distributions stay the original's. It refuses to bound the ascent.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// KL minimisation (Maini et al., 2024): gradient ascent on the forget set, held back by the divergence from the original on the retain set.
    pub struct KlMin {
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
    }
}

impl Method for KlMin {
    const ID: &'static str = "kl_min";
    const NEEDS: Needs = Needs::RETAIN
        .and(Needs::REFERENCE)
        .and(Needs::EVERY_POSITION);

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = -step.nll(Forget);
        let divergence = step.divergence(Retain, Positions::Every, Teacher::reference());
        let retain = divergence.mean();
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(KlMin);

#[cfg(test)]
mod tests {
    use super::*;

    const MOVED: [f64; 3] = [0.5, -1.0, 2.0];
    const ORIGINAL: [f64; 3] = [0.1, 0.2, -0.3];

    fn outcome(retain: &[f64; 3]) -> harness_sdk::Outcome {
        TestRig::new()
            .policy(Forget, &[&[-1.0, -3.0]])
            .policy_logits(
                Retain,
                &[&[LogitRow::answer(retain, 1), LogitRow::other(retain)]],
            )
            .reference_logits(
                Retain,
                &[&[LogitRow::answer(&ORIGINAL, 1), LogitRow::other(&ORIGINAL)]],
            )
            .run(&KlMin::default())
            .unwrap()
    }

    #[test]
    fn at_the_original_the_retain_term_and_its_gradient_vanish() {
        let outcome = outcome(&ORIGINAL);
        assert_eq!(outcome.logged("retain_loss"), Some(0.0));
        assert!(
            outcome
                .gradient(Retain)
                .iter()
                .all(|slope| slope.abs() < 1e-12)
        );
        assert_eq!(outcome.gradient(Forget), [0.5, 0.5]);
    }

    #[test]
    fn elsewhere_the_divergence_is_positive_and_pulls_back() {
        let outcome = outcome(&MOVED);
        assert!(outcome.logged("retain_loss").unwrap() > 0.1);
        // The last token has become too likely.
        assert!(outcome.gradient(Retain)[2] > 0.0);
    }
}
