//! Ten recorded optimiser steps against ours: losses before and after each, PDU's weights, the last weights. It refuses to be more exact than
//! the recording, whose own distance to the same steps in 64-bit floats says how much rounding matters.

use std::collections::BTreeMap;

use candle_core::Var;
use fancy_regex::Regex;
use harness_host::{LoadedMethod, StepLoss};
use harness_model::train::{AdamW, AdamWOptions, DecayGroup, GradientSet, Optimizer, Sgd};
use serde_json::Value;

use crate::cases::Run;
use crate::comparison::distance;
use crate::recording::Recording;
use crate::{number, text};

/// Losses on the way of ten steps.
const TOLERANCE: f64 = 1e-3;
/// The recorded steps.
const STEPS: usize = 10;

/// What is compared, and how well it came out so far.
struct Comparison<'a> {
    recorded: &'a Value,
    tolerance: f64,
    worst: f64,
}

impl Comparison<'_> {
    fn number(&mut self, what: &str, step: usize, found: f64, scale: f64) -> Result<(), String> {
        let expected = number(&self.recorded[what][step])?;
        let error = (found - expected).abs() / scale.max(expected.abs());
        if error > self.tolerance || error.is_nan() {
            return Err(format!("step {step}, {what}: {found}, not {expected}"));
        }
        self.worst = self.worst.max(error);
        Ok(())
    }

    /// A loss is measured against the largest of its parts.
    fn loss(&mut self, what: &str, step: usize, loss: &StepLoss) -> Result<(), String> {
        let parts = loss.logged.iter().map(|(_, value)| value.abs());
        self.number(what, step, f64::from(loss.value), parts.fold(0.0, f64::max))
    }

    /// PDU's weight of the retain loss, which every loss changes: what this one starts with, the one before left behind.
    fn preference(&mut self, after: usize, loss: &StepLoss) -> Result<(), String> {
        const RECORDED: &str = "retain_preference_after_loss";
        let logged = loss.logged.iter();
        let weight = logged.clone().find(|(name, _)| name == "retain_preference");
        match weight {
            Some((_, weight)) if self.recorded.get(RECORDED).is_some() => {
                self.number(RECORDED, after, *weight, 1.0)
            }
            _ => Ok(()),
        }
    }
}

/// Repeats the steps of `recorded`.
pub(crate) fn compare(
    method: &LoadedMethod,
    recording: &Recording,
    run: &Run,
    recorded: &Value,
    optimizer: &str,
) -> Result<String, String> {
    let rounding = number(&recorded["max_rel_diff_float64"])?;
    let mut comparison = Comparison {
        recorded,
        tolerance: (20.0 * rounding).max(TOLERANCE),
        worst: 0.0,
    };
    let instance = method.create(&run.options).map_err(text)?;
    let started = recording.start()?;
    let trained = trained(&started.variables, &run.trained)?;
    let (mut stepper, rate) = stepper(&trained, optimizer);
    let mut gradients = GradientSet::new(&trained);
    let random = format!("{}.control_vec", run.tensors);
    let changes_with_every_loss = recorded.get("retain_preference_after_loss").is_some();
    for step in 0..STEPS {
        let roles = &run.batches[step % run.batches.len()].roles;
        let loss = || recording.loss(&started, &instance, roles, &random);
        let before = loss()?;
        comparison.loss("loss_before_step", step, &before)?;
        if step > 0 {
            comparison.preference(step - 1, &before)?;
        }
        gradients.clear();
        gradients.add_backward(&before.loss).map_err(text)?;
        stepper.step(&gradients, rate).map_err(text)?;
        // A second loss would change PDU's weight once more than was recorded; after the last step it may.
        if step == STEPS - 1 || !changes_with_every_loss {
            let after = loss()?;
            comparison.loss("loss_after_step", step, &after)?;
            comparison.preference(step, &after)?;
        }
    }
    for (name, expected) in recording.whole(&format!("{}.{optimizer}.final", run.tensors)) {
        let weight = started.variables.get(name);
        let weight = weight.ok_or_else(|| format!("no weight {name}"))?;
        let values: Vec<f32> = weight
            .flatten_all()
            .and_then(|flat| flat.to_vec1())
            .map_err(text)?;
        let error = distance(&values, expected)?;
        if error > comparison.tolerance || error.is_nan() {
            return Err(format!(
                "{name} at the end: off by {error:.1e} of its length"
            ));
        }
        comparison.worst = comparison.worst.max(error);
    }
    let Comparison {
        worst, tolerance, ..
    } = comparison;
    Ok(format!("within {worst:.0e} of {tolerance:.0e}"))
}

/// The weights whose whole name one of the patterns matches; all where there is none.
fn trained(
    variables: &BTreeMap<String, Var>,
    patterns: &[String],
) -> Result<BTreeMap<String, Var>, String> {
    let patterns = patterns
        .iter()
        .map(|pattern| Regex::new(&format!("^(?:{pattern})$")));
    let patterns: Vec<Regex> = patterns.collect::<Result<_, _>>().map_err(text)?;
    let is_trained = |name: &str| {
        patterns.is_empty()
            || patterns
                .iter()
                .any(|pattern| pattern.is_match(name).unwrap_or(false))
    };
    let trained: BTreeMap<String, Var> = variables
        .iter()
        .filter(|(name, _)| is_trained(name))
        .map(|(name, variable)| (name.clone(), variable.clone()))
        .collect();
    if trained.is_empty() {
        return Err("no weight is trained".into());
    }
    Ok(trained)
}

/// The recorded optimiser with its learning rate.
fn stepper(trained: &BTreeMap<String, Var>, optimizer: &str) -> (Box<dyn Optimizer>, f64) {
    if optimizer == "sgd" {
        return (Box::new(Sgd::new(trained.clone(), None)), 0.05);
    }
    let options = AdamWOptions {
        decayed: DecayGroup::All,
        max_gradient_norm: None,
        ..AdamWOptions::default()
    };
    (Box::new(AdamW::new(trained.clone(), options)), 1e-3)
}
