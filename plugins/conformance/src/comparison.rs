//! One loss of a method against a recording: its value, its parts, its gradients. It refuses to call it a comparison where nothing was compared.

use candle_core::Tensor;
use harness_host::{LoadedMethod, StepLoss};
use harness_model::train::{Gradient, GradientSet};
use serde_json::Value;

use crate::cases::{RecordedBatch, Run};
use crate::recording::{Recording, Started};
use crate::{number, text};

/// Losses and their parts, relative to the largest part.
const LOSS_TOLERANCE: f64 = 1e-4;
/// Gradients and their norms, relative, and the absolute noise of gradients that are zero.
const GRADIENT_TOLERANCE: (f64, f64) = (1e-3, 1e-5);

/// Compares the method on each recorded batch, from the recorded start.
pub(crate) fn compare(
    method: &LoadedMethod,
    recording: &Recording,
    run: &Run,
) -> Result<String, String> {
    let (mut worst_loss, mut worst_gradient, mut compared) = (0f64, 0f64, 0);
    for batch in &run.batches {
        let within = |error: String| format!("{}, {error}", batch.name);
        let instance = method.create(&run.options).map_err(text)?;
        let started = recording.start()?;
        let random = format!("{}.control_vec", run.tensors);
        let step = recording.loss(&started, &instance, &batch.roles, &random)?;
        let (error, count) = losses(&step, &batch.expected).map_err(within)?;
        worst_loss = worst_loss.max(error);
        compared += count;
        let error = gradients(recording, run, batch, &started, &step.loss).map_err(within)?;
        worst_gradient = worst_gradient.max(error);
    }
    if compared == 0 {
        return Err("the recording has none of the numbers that the method logs".into());
    }
    Ok(format!("within {worst_loss:.0e} and {worst_gradient:.0e}"))
}

/// The largest relative error of the loss and what was logged, and how many numbers that were.
fn losses(step: &StepLoss, expected: &Value) -> Result<(f64, usize), String> {
    let logged = step.logged.iter();
    let logged = logged.map(|(name, value)| (name.as_str(), *value));
    let numbers: Vec<(&str, f64)> = logged
        .chain([("loss", f64::from(step.value))])
        .filter(|(name, _)| expected.get(name).is_some())
        .collect();
    // A total may be a small difference of large parts: its error is measured against them.
    let scale = numbers.iter().map(|(_, value)| value.abs());
    let scale = scale.fold(0f64, f64::max);
    let mut worst = 0f64;
    for &(name, value) in &numbers {
        let expected = number(&expected[name])?;
        let error = (value - expected).abs() / scale.max(expected.abs());
        if error > LOSS_TOLERANCE || error.is_nan() {
            return Err(format!("{name}: {value}, not {expected}"));
        }
        worst = worst.max(error);
    }
    Ok((worst, numbers.len()))
}

/// The largest relative deviation of gradients' norms, and of the gradients that were recorded whole.
fn gradients(
    recording: &Recording,
    run: &Run,
    batch: &RecordedBatch,
    started: &Started,
    loss: &Tensor,
) -> Result<f64, String> {
    let Some(expected) = batch.expected["grad_norm"].as_object() else {
        return Ok(0.0);
    };
    let mut gradients = GradientSet::new(&started.variables);
    gradients.add_backward(loss).map_err(text)?;
    let mut worst = 0f64;
    for (name, expected) in expected {
        // Null: the loss does not depend on the weight.
        let expected = expected.as_f64().unwrap_or(0.0);
        let found = gradients.get(name).map_or(0.0, norm);
        let error = (found - expected).abs();
        if error > GRADIENT_TOLERANCE.0 * expected.abs() + GRADIENT_TOLERANCE.1 || found.is_nan() {
            return Err(format!("gradient of {name}: norm {found}, not {expected}"));
        }
        if expected > 0.0 {
            worst = worst.max((error - GRADIENT_TOLERANCE.1).max(0.0) / expected);
        }
    }
    for (name, expected) in recording.whole(&format!("{}.{}.grad", run.tensors, batch.name)) {
        let found = gradients.get(name).map(Gradient::values);
        let found = found.transpose().map_err(text)?.unwrap_or_default();
        let error = distance(&found, expected)?;
        if error > GRADIENT_TOLERANCE.0 || error.is_nan() {
            return Err(format!(
                "gradient of {name}: off by {error:.1e} of its length"
            ));
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

fn norm(gradient: Gradient) -> f64 {
    let values = gradient.values().unwrap_or_default();
    let squares = values.iter().map(|&value| f64::from(value).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Length of the difference, relative to the expected length.
pub(crate) fn distance(found: &[f32], expected: &Tensor) -> Result<f64, String> {
    let expected: Vec<f32> = expected
        .flatten_all()
        .and_then(|flat| flat.to_vec1())
        .map_err(text)?;
    if found.len() != expected.len() {
        return Err(format!("{} values, not {}", found.len(), expected.len()));
    }
    let square = |value: f32| f64::from(value).powi(2);
    let pairs = found.iter().zip(&expected);
    let error: f64 = pairs
        .map(|(found, expected)| square(found - expected))
        .sum();
    let length: f64 = expected.iter().map(|&value| square(value)).sum();
    Ok((error / length.max(f64::MIN_POSITIVE)).sqrt())
}
