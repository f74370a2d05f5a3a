//! Self-distillation with adjusted logits: the model learns the original's distribution with the answer token suppressed. It refuses to ascend: the target is fixed.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

/// open-unlearning uses the label -100 of masked positions as an index, which counts from the end of the vocabulary.
const MASKED_LABEL: u32 = 100;

options! {
    /// `UNDIAL` (Dong et al., 2024): distils the original with each answer token's logit lowered.
    pub struct Undial {
        /// What is taken off the answer token's logit in the target.
        beta: f64 = 10.0,
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss; 0 computes none.
        alpha: f64 = 0.0,
        /// Averages over all positions but each last, suppressing the 100th token from the end where no answer token is predicted, as open-unlearning does.
        all_positions: bool = false,
    }
}

impl Undial {
    fn forget_loss(&self, step: &Step) -> Result<Tensor> {
        let teacher = Teacher::reference().against_label(self.beta);
        if !self.all_positions {
            return Ok(step
                .cross_entropy(Forget, Positions::Answer, teacher)
                .mean());
        }
        let teacher = teacher.with_stand_in(MASKED_LABEL);
        let losses = step.cross_entropy(Forget, Positions::Every, teacher);
        let counts = step.position_counts(Forget, Positions::Every).values()?;
        let counted = counts.iter().flat_map(|&count| {
            let count = count as usize;
            (1..=count).map(move |place| f64::from(u8::from(place < count)))
        });
        let counted: Vec<f64> = counted.collect();
        let total: f64 = counted.iter().sum();
        Ok((losses * step.constants(&counted)).sum() / total)
    }
}

impl Method for Undial {
    const ID: &'static str = "undial";
    const NEEDS: Needs = Needs::RETAIN
        .and(Needs::REFERENCE)
        .and(Needs::EVERY_POSITION);

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = self.forget_loss(step)?;
        step.log("forget_loss", &forget);
        if self.alpha == 0.0 {
            return Ok(self.gamma * forget);
        }
        let retain = step.nll(Retain);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(Undial);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_models_distribution_less_the_suppressed_one() {
        let (own, original) = ([0.3, -0.2, 1.0], [0.5, 0.1, -0.4]);
        let rig = TestRig::new()
            .policy_logits(Forget, &[&[LogitRow::answer(&own, 1)]])
            .reference_logits(Forget, &[&[LogitRow::answer(&original, 1)]]);
        let outcome = rig.run(&Undial::default()).unwrap();
        let softmax = |logits: [f64; 3]| {
            let all: f64 = logits.iter().map(|logit| logit.exp()).sum();
            logits.map(|logit| logit.exp() / all)
        };
        let (p, q) = (softmax(own), softmax([0.5, 0.1 - 10.0, -0.4]));
        for (token, &slope) in outcome.gradient(Forget).iter().enumerate() {
            assert!((slope - (p[token] - q[token])).abs() < 1e-12);
        }
    }
}
