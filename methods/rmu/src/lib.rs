//! Representation misdirection: hidden states of the forget set are steered to a random direction, those of the retain set held. It refuses to choose weights.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

/// The stream of random numbers that the direction comes from.
const DIRECTION: u64 = 0x0072_6d75;

choices! {
    /// What holds the retain set.
    pub enum Hold {
        /// The distance of the layer's outputs from the original's.
        Hidden = "hidden",
        /// Negative log-likelihood of the retain answers.
        Nll = "nll",
        /// Divergence from the original at every position.
        Kl = "kl",
    }
}

options! {
    /// RMU (Li et al., 2024): steers a layer's outputs on forget answers to a random vector and holds them on retain answers.
    pub struct Rmu {
        /// The layer, counted from 0; not the last.
        layer: u64 = 7,
        /// Length of the vector that forget answers are steered to.
        steering_coeff: f64 = 2.0,
        /// Adaptive RMU: above 0, the vector is this many times as long as the original's outputs at the forget answers are on average, and `steering_coeff` counts no more.
        adaptive: f64 = 0.0,
        /// Weight of the forget loss.
        gamma: f64 = 1.0,
        /// Weight of the retain loss.
        alpha: f64 = 1.0,
        /// Retain loss: `hidden`, the distance of the layer's outputs from the original's; `nll`, or `kl` for the divergence from the original.
        retain_loss: Hold = Hold::Hidden,
        /// Divides every answer's sum by every answer's length and averages over all pairs, as open-unlearning does.
        across_answers: bool = false,
    }
}

impl Rmu {
    fn layer(&self) -> Result<u32> {
        u32::try_from(self.layer)
            .map_err(|_| Error::new(format!("no model has a layer {}", self.layer)))
    }

    /// A vector of random direction, the same in every step, as long as forget answers are to be.
    fn target(&self, step: &Step) -> Result<Tensor> {
        let random = step.uniform(DIRECTION, step.hidden_width()?);
        let direction = &random / random.square().sum().sqrt();
        if self.adaptive <= 0.0 {
            return Ok(self.steering_coeff * direction);
        }
        let lengths = step.reference_hidden_length(Forget, Positions::AnswerInputs, self.layer()?);
        Ok(self.adaptive * lengths.mean() * direction)
    }

    /// Mean over answers of the mean squared distance at their tokens.
    fn distance(&self, step: &Step, role: Role, target: Option<&Tensor>) -> Result<Tensor> {
        let positions = Positions::AnswerInputs;
        let distances = step.hidden_distance(role, positions, self.layer()?, target);
        let sums = step.sum_over(role, positions, &distances);
        let counts = step.position_counts(role, positions);
        if self.across_answers {
            return Ok(sums.mean() * (1.0 / counts).mean());
        }
        Ok((sums / counts).mean())
    }
}

impl Method for Rmu {
    const ID: &'static str = "rmu";
    const NEEDS: Needs = RetainLoss::NEEDS;

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let forget = self.distance(step, Forget, Some(&self.target(step)?))?;
        let retain = match self.retain_loss {
            Hold::Hidden => self.distance(step, Retain, None)?,
            Hold::Nll => RetainLoss::Nll.of(step),
            Hold::Kl => RetainLoss::Kl.of(step),
        };
        step.log("forget_loss", &forget);
        step.log("retain_loss", &retain);
        Ok(self.gamma * forget + self.alpha * retain)
    }
}

export_method!(Rmu);
