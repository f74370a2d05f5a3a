//! Primal-dual unlearning: flattens the forget set's logits under a bound on the retain loss. It refuses to run without that bound.
#![forbid(unsafe_code)]

use std::cell::Cell;

use harness_sdk::prelude::*;

options! {
    /// Primal-dual unlearning (Entesari et al., 2025): flat logits on the forget set, subject to a retain loss below a bound.
    pub struct Pdu {
        /// The retain loss that is allowed, in nats a token: a little above the original's. It has to be set.
        retain_loss_eps: f64 = -1.0,
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss at the start.
        alpha: f64 = 1.0,
        /// Whether the weight of the retain loss follows how far the bound is missed.
        primal_dual: bool = true,
        /// How fast it follows.
        dual_step_size: f64 = 1.0,
        /// Epochs of the forget set before it begins to.
        dual_warmup_epochs: f64 = 5.0,
        /// Takes the positions whose input, not whose target, is an answer token, as open-unlearning does.
        unshifted: bool = false,
    }
    state {
        /// The weight of the retain loss, once it has changed.
        preference: Cell<Option<f64>> = Cell::new(None),
    }
}

impl Method for Pdu {
    const ID: &'static str = "pdu";
    const NEEDS: Needs = Needs::RETAIN.and(Needs::EVERY_POSITION);

    fn check(&self) -> Result<()> {
        if self.retain_loss_eps >= 0.0 {
            return Ok(());
        }
        let message = "retain_loss_eps has to be set to the retain loss that is allowed";
        Err(Error::new(format!(
            "{message}, a little above the original's"
        )))
    }

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let positions = if self.unshifted {
            Positions::AnswerInputs
        } else {
            Positions::Answer
        };
        let forget = step.logit_spread(Forget, positions).square().mean();
        let retain = step.nll(Retain);
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        let weight = self.preference.get().unwrap_or(self.alpha);
        step.log("retain_preference", &step.constant(weight));
        let excess = retain - self.retain_loss_eps;
        if self.primal_dual && step.epoch() >= self.dual_warmup_epochs {
            let raised = weight + self.dual_step_size * excess.value()?;
            self.preference.set(Some(raised.max(0.0)));
        }
        Ok(self.gamma * forget + weight * excess)
    }
}

export_method!(Pdu);

#[cfg(test)]
mod tests {
    use super::*;

    fn rig(logits: &[f64], epoch: f64) -> TestRig {
        TestRig::new()
            .policy_logits(Forget, &[&[LogitRow::answer(logits, 0)]])
            .policy(Retain, &[&[-1.5]])
            .epoch(epoch)
    }

    fn method() -> Pdu {
        Pdu {
            retain_loss_eps: 1.0,
            ..Pdu::default()
        }
    }

    #[test]
    fn the_forget_loss_is_zero_exactly_where_logits_are_flat() {
        let loss = |logits: &[f64]| {
            rig(logits, 0.0)
                .run(&method())
                .unwrap()
                .logged("forget_loss")
        };
        assert_eq!(loss(&[3.0, 3.0, 3.0]), Some(0.0));
        assert_eq!(loss(&[4.0, 1.0, 1.0]), Some(4.0));
    }

    #[test]
    fn after_the_warm_up_the_weight_rises_while_the_bound_is_missed() {
        let method = method();
        for (epoch, weight) in [(0.0, 1.0), (5.0, 1.0), (5.5, 1.5), (6.0, 2.0)] {
            let outcome = rig(&[1.0, 0.0], epoch).run(&method).unwrap();
            assert_eq!(outcome.logged("retain_preference"), Some(weight));
        }
    }

    #[test]
    fn without_a_bound_it_is_refused() {
        let error = rig(&[1.0, 0.0], 0.0).run(&Pdu::default()).unwrap_err();
        assert!(error.to_string().contains("retain_loss_eps"));
    }
}
