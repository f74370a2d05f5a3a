//! What can be asked of a method without a recording: that it says what it is, refuses what it must, and that its loss is a function of the
//! step alone with the gradient that it claims. It refuses to judge what a loss is good for.

mod gradients;
mod misuse;
mod tiny;
mod training;

use harness_host::{LoadedMethod, StepLoss, Tier};
use harness_model::train::{Gradient, GradientSet};
use serde_json::{Value, json};

use crate::{Asked, text};
use tiny::{IN_ORDER, TURNED, Tiny};

/// What the order of rows may change, relative to the largest part of the loss.
const ROUNDING: f64 = 1e-4;

/// Asks everything that needs no recording.
pub(crate) fn check(method: &LoadedMethod, options: &Value, asked: &mut Asked) {
    asked.ask("every option is documented", || documented(method));
    asked.ask("the defaults are accepted", || defaults(method, options));
    asked.ask("an unknown option is refused", || misuse::unknown(method));
    asked.ask("options of another type are refused", || {
        misuse::wrong_types(method)
    });
    match method.tier() {
        Tier::Loss => check_loss(method, options, asked),
        Tier::Trainer => check_trainer(method, options, asked),
    }
}

fn check_trainer(method: &LoadedMethod, options: &Value, asked: &mut Asked) {
    asked.ask("a run ends with finite weights", || {
        training::ends(method, options)
    });
    asked.ask("the same run gives the same bits", || {
        training::repeats(method, options)
    });
    asked.ask("no value of an option causes a panic", || {
        misuse::extremes(method, options, |set| {
            let tiny = Tiny::new();
            tiny.map_or(Ok(()), |tiny| training::train(&tiny, method, set).map(drop))
        })
    });
}

fn check_loss(method: &LoadedMethod, options: &Value, asked: &mut Asked) {
    let tiny = match Tiny::new() {
        Ok(tiny) => tiny,
        Err(error) => return asked.ask("the tiny model", || Err(error)),
    };
    asked.ask("a step gives a finite loss and gradients", || {
        step(&tiny, method, options)
    });
    asked.ask("the same step gives the same bits", || {
        repeats(&tiny, method, options)
    });
    asked.ask("another instance changes nothing", || {
        is_alone(&tiny, method, options)
    });
    asked.ask("the order of rows changes nothing", || {
        is_symmetric(&tiny, method, options)
    });
    asked.ask("the gradient is that of the loss", || {
        gradients::check(&tiny, method, options)
    });
    asked.ask("no value of an option causes a panic", || {
        misuse::extremes(method, options, |set| {
            let step = tiny.step(method, IN_ORDER);
            method.create(set)?.loss(&step).map(drop)
        })
    });
}

fn documented(method: &LoadedMethod) -> Result<String, String> {
    let description = method.description();
    if description.summary.trim().is_empty() {
        return Err("the method has no summary".into());
    }
    let bare = description
        .options
        .iter()
        .find(|option| option.doc.trim().is_empty());
    match bare {
        Some(option) => Err(format!("option `{}` has no documentation", option.name)),
        None => Ok(format!("{} options", description.options.len())),
    }
}

/// A method may insist on an option, but must say so.
fn defaults(method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let is_set = options
        .as_object()
        .is_some_and(|options| !options.is_empty());
    match method.create(&json!({})) {
        Ok(_) => Ok("by the library itself".into()),
        Err(error) if is_set => Ok(format!("not without what was set: {error}")),
        Err(error) => Err(text(error)),
    }
}

fn step(tiny: &Tiny, method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let (loss, gradients) = tiny.run(method, options, IN_ORDER)?;
    let norm = gradients.norm().map_err(text)?;
    if norm == 0.0 || !norm.is_finite() {
        return Err(format!(
            "the loss is {}, the norm of its gradient {norm}",
            loss.value
        ));
    }
    Ok(format!("loss {:.6}, gradient norm {norm:.6}", loss.value))
}

/// The bits of a loss, of what was logged, and of every gradient.
fn bits(loss: &StepLoss, gradients: &GradientSet) -> (u32, Vec<(String, u64)>, Vec<u32>) {
    let logged = loss.logged.iter();
    let logged = logged.map(|(name, value)| (name.clone(), value.to_bits()));
    let bits = |gradient: Gradient| -> Vec<u32> {
        let values = gradient.values().unwrap_or_default();
        values.iter().map(|value| value.to_bits()).collect()
    };
    let gradients = gradients.iter().flat_map(|(_, gradient)| bits(gradient));
    (loss.value.to_bits(), logged.collect(), gradients.collect())
}

fn repeats(tiny: &Tiny, method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let (first, its) = tiny.run(method, options, IN_ORDER)?;
    let (second, others) = tiny.run(method, options, IN_ORDER)?;
    if bits(&first, &its) == bits(&second, &others) {
        return Ok(format!("loss {} both times", first.value));
    }
    let (first, second) = (first.value, second.value);
    Err(format!(
        "loss {first} the first time, {second} the second, or other gradients"
    ))
}

/// Whether an instance that has made steps leaves another one as it was.
fn is_alone(tiny: &Tiny, method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let (alone, its) = tiny.run(method, options, IN_ORDER)?;
    let [one, other] = [method.create(options), method.create(options)];
    let (one, other) = (one.map_err(text)?, other.map_err(text)?);
    for order in [TURNED, IN_ORDER] {
        tiny.run_instance(method, &other, order)?;
    }
    drop(other);
    let (beside, theirs) = tiny.run_instance(method, &one, IN_ORDER)?;
    if bits(&alone, &its) == bits(&beside, &theirs) {
        return Ok("state is the instance's".into());
    }
    let (alone, beside) = (alone.value, beside.value);
    Err(format!(
        "loss {alone} alone, {beside} after another instance's steps, or other gradients"
    ))
}

fn is_symmetric(tiny: &Tiny, method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let (loss, gradients) = tiny.run(method, options, IN_ORDER)?;
    let (turned, its) = tiny.run(method, options, TURNED)?;
    let parts = loss.logged.iter().map(|(_, value)| value.abs());
    let scale = parts
        .fold(f64::from(loss.value).abs(), f64::max)
        .max(f64::MIN_POSITIVE);
    let off = f64::from(loss.value - turned.value).abs() / scale;
    let (norm, turned_norm) = (gradients.norm().map_err(text)?, its.norm().map_err(text)?);
    if off > ROUNDING || (norm - turned_norm).abs() > 1e-2 * norm || off.is_nan() {
        let (one, other) = (loss.value, turned.value);
        return Err(format!(
            "loss {one} and norm {norm:.6} in one order, {other} and {turned_norm:.6} in another"
        ));
    }
    Ok(format!("within {off:.0e}"))
}
