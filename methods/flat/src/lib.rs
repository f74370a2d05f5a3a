//! Loss adjustment with f-divergences: a template answer against the forget answer, no retain set. It refuses the divergences whose published form pushes the wrong way.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

choices! {
    /// An f-divergence whose published form pushes the right way.
    pub enum Divergence {
        /// Total variation.
        TotalVariation = "tv",
        /// Kullback-Leibler.
        KullbackLeibler = "kl",
        /// Pearson's.
        Pearson = "pearson",
        /// Jensen-Shannon.
        JensenShannon = "js",
    }
}

options! {
    /// FLAT (Wang et al., 2024): raises a template answer and lowers the forget answer by the variational form of an f-divergence.
    pub struct Flat {
        /// f-divergence: `tv` (total variation), `kl`, `pearson` or `js`.
        divergence: Divergence = Divergence::TotalVariation,
    }
}

impl Flat {
    /// g of the template's probability, and f* of g of the forget answer's.
    fn parts(&self, template: &Tensor, forget: &Tensor) -> (Tensor, Tensor) {
        match self.divergence {
            Divergence::TotalVariation => (template.tanh() / 2.0, forget.tanh() / 2.0),
            Divergence::KullbackLeibler => (template.clone(), (forget - 1.0).exp()),
            Divergence::Pearson => (template.clone(), forget + forget.square() / 4.0),
            // ln 2 - log(1 + e^-x), and x + log(1 + e^-x) - ln 2 = log(1 + e^x) - ln 2.
            Divergence::JensenShannon => {
                let ln_2 = std::f64::consts::LN_2;
                (ln_2 - (-template).softplus(), forget.softplus() - ln_2)
            }
        }
    }
}

impl Method for Flat {
    const ID: &'static str = "flat";
    const NEEDS: Needs = Needs::ALTERNATE;

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let probability = |role| step.mean_per_sequence(role, &step.token_logprobs(role).exp());
        let (template, forget) = (probability(Alternate), probability(Forget));
        let (raised, lowered) = self.parts(&template, &forget);
        step.log("template_probability", &template.mean());
        step.log("forget_probability", &forget.mean());
        Ok((lowered - raised).mean())
    }
}

export_method!(Flat);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_divergence_raises_the_template_and_lowers_the_forget_answer() {
        use Divergence::{JensenShannon, KullbackLeibler, Pearson, TotalVariation};
        for divergence in [TotalVariation, KullbackLeibler, Pearson, JensenShannon] {
            let method = Flat { divergence };
            let outcome = TestRig::new()
                .policy(Forget, &[&[-1.0, -2.0]])
                .policy(Alternate, &[&[-0.7]])
                .run(&method)
                .unwrap();
            assert!(
                outcome.gradient(Forget).iter().all(|&slope| slope > 0.0),
                "{divergence:?}"
            );
            assert!(outcome.gradient(Alternate)[0] < 0.0, "{divergence:?}");
        }
    }

    #[test]
    fn total_variation_by_hand() {
        let rig = TestRig::new()
            .policy(Forget, &[&[-1.0]])
            .policy(Alternate, &[&[-0.5]]);
        let outcome = rig.run(&Flat::default()).unwrap();
        let half_tanh = |logprob: f64| logprob.exp().tanh() / 2.0;
        assert!((outcome.loss - (half_tanh(-1.0) - half_tanh(-0.5))).abs() < 1e-12);
    }
}
