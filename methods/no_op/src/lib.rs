//! No unlearning at all: the control of every comparison. It refuses to change a weight.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// A baseline that does nothing: what it scores is the error of the measurement.
    pub struct NoOp {}
}

impl Trainer for NoOp {
    const ID: &'static str = "no_op";
    const NEEDS: Needs = Needs::NONE;

    fn train(&self, _run: &Training) -> Result<()> {
        Ok(())
    }
}

export_trainer!(NoOp);
