//! Noise on the weights: what undirected damage does. It refuses to look at any data.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// A baseline that forgets nothing in particular: isotropic Gaussian noise on the weights, of a chosen size.
    pub struct Noise {
        /// Norm of the noise, as a share of the norm of the weights that it is added to.
        norm: f64 = 0.05,
        /// Regular expression that the whole names of these weights match.
        parameters: String = String::from(".*"),
    }
}

impl Trainer for Noise {
    const ID: &'static str = "noise";
    const NEEDS: Needs = Needs::NONE;

    fn check(&self) -> Result<()> {
        if self.norm.is_finite() && self.norm >= 0.0 {
            return Ok(());
        }
        Err(Error::new("norm must be a number of at least 0"))
    }

    fn train(&self, run: &Training) -> Result<()> {
        let chosen = run.select(&self.parameters);
        let weights = (run.weights() * &chosen).norm()?;
        let noise = run.normal(0) * chosen;
        run.update(&noise, self.norm * weights / noise.norm()?)
    }
}

export_trainer!(Noise);
