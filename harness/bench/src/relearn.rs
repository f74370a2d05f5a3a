//! Relearning: how many training steps on the forget set bring a model back to the original's level?
//!
//! The rule is the seed project's: stop when the mean of the last ten (or fewer) training-batch losses is at most the
//! original model's mean loss on the forget set. A model that never gets there is censored, never dropped.

use std::time::Instant;

use harness_model::{DecoderSpec, Weights};
use serde::{Deserialize, Serialize};

use crate::answers::AnswerSet;
use crate::error::Result;
use crate::event::{Event, Observer};
use crate::finetune::{FineTuner, FineTuning};

/// Losses that the running mean covers.
pub const WINDOW: usize = 10;

/// One model's way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelearnCurve {
    /// The loss to reach, in nats a token.
    pub target_loss: f64,
    /// Whether it was reached; otherwise `steps` is a lower bound.
    pub reached: bool,
    /// Steps taken.
    pub steps: usize,
    /// Documents trained on, repetitions counted.
    pub samples: usize,
    /// Tokens trained on.
    pub tokens: usize,
    /// Wall time of training.
    pub seconds: f64,
    /// Loss of each step's batch before its update, in nats a token.
    pub losses: Vec<f64>,
}

impl RelearnCurve {
    fn new(target_loss: f64) -> Self {
        Self {
            target_loss,
            reached: false,
            steps: 0,
            samples: 0,
            tokens: 0,
            seconds: 0.0,
            losses: Vec::new(),
        }
    }

    /// Mean of the last [`WINDOW`] losses, or of all there are; NaN before the first.
    pub fn running_loss(&self) -> f64 {
        let window = &self.losses[self.losses.len().saturating_sub(WINDOW)..];
        window.iter().sum::<f64>() / window.len() as f64
    }

    /// The number of samples for a table: "≥ n" where the target was not reached.
    pub fn samples_text(&self) -> String {
        if self.reached {
            self.samples.to_string()
        } else {
            format!("≥ {}", self.samples)
        }
    }
}

/// Fine-tunes a copy of `weights` on `forget` until the running loss is at most `target_loss`, or for all the attacker's steps.
///
/// # Errors
/// When the loss stops being finite or the model fails.
pub fn relearn(
    spec: &DecoderSpec,
    weights: &Weights,
    forget: &AnswerSet,
    target_loss: f64,
    attacker: &FineTuning,
    observer: &mut Observer,
) -> Result<RelearnCurve> {
    let mut tuner = FineTuner::new(spec, weights, forget, attacker)?;
    let mut curve = RelearnCurve::new(target_loss);
    let start = Instant::now();
    while curve.steps < attacker.steps && !curve.reached {
        let step = tuner.step()?;
        curve.losses.push(step.loss);
        curve.steps += 1;
        curve.samples += attacker.batch_size;
        curve.tokens += step.tokens;
        curve.seconds = start.elapsed().as_secs_f64();
        curve.reached = curve.running_loss() <= target_loss;
        let remark = format!("loss {:.3}, target {target_loss:.3}", curve.running_loss());
        observer(Event::StageAdvanced {
            work_done: None,
            done: curve.steps,
            remark,
        });
    }
    Ok(curve)
}
