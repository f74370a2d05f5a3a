//! LLMU: ascent on the forget answers, random answers in their place, and the original's distributions on normal prompts. It refuses the bugs of the first version.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// LLMU (Yao et al., 2023): gradient ascent, training on answers that do not belong to the prompts, and closeness to the original elsewhere.
    pub struct Llmu {
        /// Weight of the ascent on the forget answers.
        bad_weight: f64 = 0.5,
        /// Weight of the answers that do not belong.
        random_weight: f64 = 1.0,
        /// Weight of the closeness to the original.
        normal_weight: f64 = 1.0,
        /// Answers that do not belong, for each forget prompt.
        mismatched_answers: u64 = 5,
        /// Divides each answer's loss by its tokens plus one, as the authors' code does.
        count_one_more: bool = false,
    }
}

impl Llmu {
    /// Mean over sequences of the mean loss of an answer's tokens.
    fn answer_loss(&self, step: &Step, role: Role) -> Tensor {
        let sums = step.policy(role);
        let counts = step.answer_tokens(role) + f64::from(u8::from(self.count_one_more));
        -(sums / counts).mean()
    }
}

impl Method for Llmu {
    const ID: &'static str = "llmu";
    const NEEDS: Needs = Needs::NORMAL
        .and(Needs::MISMATCH)
        .and(Needs::REFERENCE)
        .and(Needs::EVERY_POSITION);

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let bad = -self.answer_loss(step, Forget);
        let random = self.answer_loss(step, Mismatch);
        let normal = step.cross_entropy(Normal, Positions::Every, Teacher::reference());
        let normal = normal.mean();
        step.log("bad_loss", &bad);
        step.log("random_loss", &random);
        step.log("normal_loss", &normal);
        Ok(self.bad_weight * bad + self.random_weight * random + self.normal_weight * normal)
    }
}

export_method!(Llmu);

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(method: &Llmu, own: &[f64], original: &[f64]) -> harness_sdk::Outcome {
        TestRig::new()
            .policy(Forget, &[&[-1.0, -2.0], &[-6.0]])
            .policy(Mismatch, &[&[-3.0]])
            .policy_logits(Normal, &[&[LogitRow::answer(own, 0)]])
            .reference_logits(Normal, &[&[LogitRow::answer(original, 0)]])
            .run(method)
            .unwrap()
    }

    #[test]
    fn answers_are_averaged_by_sequence_and_the_original_is_at_rest() {
        let outcome = outcome(&Llmu::default(), &[1.0, 0.0], &[1.0, 0.0]);
        assert_eq!(outcome.logged("bad_loss"), Some(-3.75));
        assert_eq!(outcome.logged("random_loss"), Some(3.0));
        // The entropy of the original is left, a constant.
        assert!(outcome.logged("normal_loss").unwrap() > 0.5);
        assert!(
            outcome
                .gradient(Normal)
                .iter()
                .all(|slope| slope.abs() < 1e-12)
        );
    }

    #[test]
    fn counting_one_more_makes_answers_weigh_less() {
        let method = Llmu {
            count_one_more: true,
            ..Llmu::default()
        };
        let outcome = outcome(&method, &[1.0, 0.0], &[0.0, 0.5]);
        assert_eq!(outcome.logged("bad_loss"), Some(-2.0));
        assert_eq!(outcome.logged("random_loss"), Some(1.5));
    }
}
