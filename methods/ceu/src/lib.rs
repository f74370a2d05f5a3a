//! Cross-entropy unlearning: the model learns its own distribution without the answer token. It refuses a retain set, as its authors do.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// CE-U (Yang, 2025): cross-entropy to the model's own distribution with the answer token removed.
    pub struct Ceu {
        /// Answer tokens at the start of each answer that do not count.
        ignore_first: u64 = 1,
    }
}

impl Method for Ceu {
    const ID: &'static str = "ceu";
    const NEEDS: Needs = Needs::NONE;

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let teacher = Teacher::policy().against_label(f64::INFINITY);
        let losses = step.cross_entropy(Forget, Positions::Answer, teacher);
        let lengths = step.answer_tokens(Forget).values()?;
        let counts = |place: u64| f64::from(u8::from(place >= self.ignore_first));
        let counted: Vec<f64> = lengths
            .iter()
            .flat_map(|&length| (0..length as u64).map(counts))
            .collect();
        let total: f64 = counted.iter().sum();
        if total == 0.0 {
            let message =
                "no answer token is left: every answer of the batch is as short as ignore_first";
            return Err(Error::new(format!("{message} ({})", self.ignore_first)));
        }
        let forget = (losses * step.constants(&counted)).sum() / total;
        step.log("forget_loss", &forget);
        Ok(forget)
    }
}

export_method!(Ceu);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_on_logits_is_bounded_by_the_answers_probability() {
        let logits = [0.4, -1.0, 2.0, 0.3];
        let rows = [LogitRow::answer(&[0.0; 4], 0), LogitRow::answer(&logits, 2)];
        let rig = TestRig::new().policy_logits(Forget, &[&rows]);
        let outcome = rig.run(&Ceu::default()).unwrap();
        let all: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let p = logits.map(|logit| logit.exp() / all);
        let gradient = outcome.gradient(Forget);
        // The first answer token does not count.
        assert!(gradient[..4].iter().all(|&slope| slope == 0.0));
        for (token, &slope) in gradient[4..].iter().enumerate() {
            let others = -p[token] * p[2] / (1.0 - p[2]);
            let expected = if token == 2 { p[2] } else { others };
            assert!((slope - expected).abs() < 1e-12);
        }
    }
}
