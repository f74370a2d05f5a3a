//! Ten recorded optimiser steps against ours: losses before and after each, PDU's weights, the last weights. It refuses to be more exact than
//! rounding lets it: how far the recording is from the same steps in 64-bit floats, and where that is not enough, how far our own steps move
//! when they start from weights that are off by one rounding.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
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
/// How much larger than rounding a difference may be.
const ROUNDINGS: f64 = 20.0;
/// The recorded steps.
const STEPS: usize = 10;
const PREFERENCE: &str = "retain_preference_after_loss";

/// A number on the way: under which name and at which step it was recorded, and the size of what it is made of.
struct Measured {
    name: &'static str,
    step: usize,
    value: f64,
    scale: f64,
}

impl Measured {
    /// A loss is measured against the largest of its parts.
    fn loss(name: &'static str, step: usize, loss: &StepLoss) -> Self {
        let value = f64::from(loss.value);
        let parts = loss.logged.iter().map(|(_, value)| value.abs());
        Self {
            name,
            step,
            value,
            scale: parts.fold(value.abs(), f64::max),
        }
    }

    /// PDU's weight of the retain loss, which every loss changes: what this one starts with, the one before left behind.
    fn preference(after: usize, loss: &StepLoss) -> Option<Self> {
        let mut logged = loss.logged.iter();
        let (_, value) = logged.find(|(name, _)| name == "retain_preference")?;
        Some(Self {
            name: PREFERENCE,
            step: after,
            value: *value,
            scale: 1.0,
        })
    }

    fn error(&self, expected: f64) -> f64 {
        (self.value - expected).abs() / self.scale.max(expected.abs())
    }
}

/// What ten steps came to.
struct Walk {
    numbers: Vec<Measured>,
    weights: BTreeMap<String, Var>,
}

/// Repeats the steps of `recorded`.
pub(crate) fn compare(
    method: &LoadedMethod,
    recording: &Recording,
    run: &Run,
    recorded: &Value,
    optimizer: &str,
) -> Result<String, String> {
    let walk = |is_nudged| walk(method, recording, run, recorded, (optimizer, is_nudged));
    let ours = walk(false)?;
    let rounding = number(&recorded["max_rel_diff_float64"])?;
    let mut tolerance = (ROUNDINGS * rounding).max(TOLERANCE);
    let (mut worst, mut place) = (0f64, String::new());
    let mut note = |error: f64, text: &dyn Fn() -> String| {
        if error > worst || error.is_nan() {
            (worst, place) = (error, text());
        }
    };
    for measured in &ours.numbers {
        let Measured {
            name, step, value, ..
        } = measured;
        let expected = number(&recorded[*name][*step])?;
        note(measured.error(expected), &|| {
            format!("step {step}, {name}: {value}, not {expected}")
        });
    }
    for (name, expected) in recording.whole(&format!("{}.{optimizer}.final", run.tensors)) {
        let weight = ours.weights.get(name);
        let weight = weight.ok_or_else(|| format!("no weight {name}"))?;
        let values = weight.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        let error = distance(&values.map_err(text)?, expected)?;
        note(error, &|| {
            format!("{name} at the end: off by {error:.1e} of its length")
        });
    }
    if worst > tolerance {
        let nudged = walk(true)?;
        let pairs = ours.numbers.iter().zip(&nudged.numbers);
        let own = pairs.map(|(ours, nudged)| ours.error(nudged.value));
        tolerance = tolerance.max(ROUNDINGS * own.fold(0f64, f64::max));
    }
    if worst > tolerance || worst.is_nan() {
        return Err(place);
    }
    Ok(format!("within {worst:.0e} of {tolerance:.0e}"))
}

/// Takes the steps, from the recorded weights or from such that are off by one rounding.
fn walk(
    method: &LoadedMethod,
    recording: &Recording,
    run: &Run,
    recorded: &Value,
    (optimizer, is_nudged): (&str, bool),
) -> Result<Walk, String> {
    let instance = method.create(&run.options).map_err(text)?;
    let started = recording.start()?;
    if is_nudged {
        started
            .variables
            .values()
            .try_for_each(nudge)
            .map_err(text)?;
    }
    let trained = trained(&started.variables, &run.trained)?;
    let (mut stepper, rate) = stepper(&trained, optimizer);
    let mut gradients = GradientSet::new(&trained);
    let random = format!("{}.control_vec", run.tensors);
    let changes_with_every_loss = recorded.get(PREFERENCE).is_some();
    let mut numbers = Vec::new();
    for step in 0..STEPS {
        let roles = &run.batches[step % run.batches.len()].roles;
        let loss = || recording.loss(&started, &instance, roles, &random);
        let before = loss()?;
        numbers.push(Measured::loss("loss_before_step", step, &before));
        if changes_with_every_loss && step > 0 {
            numbers.extend(Measured::preference(step - 1, &before));
        }
        gradients.clear();
        gradients.add_backward(&before.loss).map_err(text)?;
        stepper.step(&gradients, rate).map_err(text)?;
        // A second loss would change PDU's weight once more than was recorded; after the last step it may.
        if step == STEPS - 1 || !changes_with_every_loss {
            let after = loss()?;
            numbers.push(Measured::loss("loss_after_step", step, &after));
            if changes_with_every_loss {
                numbers.extend(Measured::preference(step, &after));
            }
        }
    }
    Ok(Walk {
        numbers,
        weights: started.variables,
    })
}

/// Moves every other number to the next larger float or so.
fn nudge(variable: &Var) -> candle_core::Result<()> {
    let values: Vec<f32> = variable.flatten_all()?.to_vec1()?;
    let moved = values.into_iter().enumerate().map(|(place, value)| {
        let share = if place % 2 == 0 { f32::EPSILON } else { 0.0 };
        value * (1.0 + share)
    });
    let moved = Tensor::from_vec(moved.collect(), variable.shape(), variable.device())?;
    variable.set(&moved)
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
