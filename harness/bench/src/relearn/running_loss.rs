//! The seed project's rule: train until the mean of the last ten (or fewer) training-batch losses is at most the original
//! model's mean loss on the forget set. A model that never gets there is censored, never dropped.

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
        running_mean(&self.losses)
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

fn running_mean(losses: &[f64]) -> f64 {
    let window = &losses[losses.len().saturating_sub(WINDOW)..];
    window.iter().sum::<f64>() / window.len() as f64
}

/// After how many of these training-batch losses the rule would have stopped, if it would have.
pub(super) fn steps_by_rule(losses: &[f64], target_loss: f64) -> Option<usize> {
    (1..=losses.len()).find(|&steps| running_mean(&losses[..steps]) <= target_loss)
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

#[cfg(test)]
mod tests {
    use super::steps_by_rule;

    #[test]
    fn the_rule_averages_ten_losses_or_fewer() {
        assert_eq!(steps_by_rule(&[2.0, 1.0], 2.0), Some(1));
        assert_eq!(steps_by_rule(&[3.0, 1.0, 1.0], 2.0), Some(2));
        // 100 is still among the last ten after step 10, and no longer after step 11.
        let mut losses = vec![100.0];
        losses.extend([1.0; 10]);
        assert_eq!(steps_by_rule(&losses, 1.0), Some(11));
        assert_eq!(steps_by_rule(&losses, 0.9), None);
        assert_eq!(steps_by_rule(&[], 9.0), None);
    }
}
