//! Task vector negation: learns the forget set, then goes as far the other way. It refuses to look at what should stay.
#![forbid(unsafe_code)]

use harness_sdk::prelude::*;

options! {
    /// Task vector negation (Ilharco et al., 2023): the change that fine-tuning on the forget set makes, turned round and scaled.
    pub struct TaskVector {
        /// How far to go the other way, in lengths of the fine-tuning's change: 0 is the original, -1 the fine-tuned model.
        alpha: f64 = 1.0,
    }
}

impl Trainer for TaskVector {
    const ID: &'static str = "task_vector";
    const NEEDS: Needs = Needs::NONE;

    fn check(&self) -> Result<()> {
        if self.alpha.is_finite() {
            return Ok(());
        }
        Err(Error::new("alpha must be a number"))
    }

    fn train(&self, run: &Training) -> Result<()> {
        let original = run.weights();
        run.finetune(Forget, run.steps_left(), None)?;
        run.scale_change(&original, -self.alpha)
    }
}

export_trainer!(TaskVector);
