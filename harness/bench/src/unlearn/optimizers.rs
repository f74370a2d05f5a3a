//! Optimisers: those that the run asks for, and those that a method that owns its loop asks for, by kind and options. It refuses kinds and
//! options that it does not know.

use std::collections::BTreeMap;

use candle_core::{Error, Result, Var, bail};
use harness_model::train::{AdamW, AdamWOptions, Optimizer, Sgd};
use serde_json::{Map, Value};

use super::options::{OptimizerOptions, TrainingOptions};

const KINDS: [&str; 2] = ["adamw", "sgd"];
const ADAMW_OPTIONS: [&str; 5] = [
    "max_gradient_norm",
    "weight_decay",
    "beta1",
    "beta2",
    "epsilon",
];

/// The optimiser of the run's options.
pub(super) fn of_run(
    options: &TrainingOptions,
    variables: BTreeMap<String, Var>,
) -> Box<dyn Optimizer> {
    match options.optimizer {
        OptimizerOptions::AdamW { .. } => Box::new(AdamW::new(variables, adamw_options(options))),
        OptimizerOptions::Sgd => Box::new(Sgd::new(variables, options.max_gradient_norm)),
    }
}

/// An optimiser of a kind; options that are absent are the run's.
pub(super) fn new(
    kind: &str,
    given: &Value,
    run: &TrainingOptions,
    variables: BTreeMap<String, Var>,
) -> Result<Box<dyn Optimizer>> {
    let Some(given) = given.as_object() else {
        bail!("the options of `{kind}` must be a JSON object");
    };
    let known = match kind {
        "adamw" => &ADAMW_OPTIONS[..],
        "sgd" => &ADAMW_OPTIONS[..1],
        _ => {
            let near = harness_spelling::hint(kind, KINDS);
            bail!(
                "no optimiser is called `{kind}`{near}; there are {}",
                KINDS.join(", ")
            )
        }
    };
    if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
        let near = harness_spelling::hint(name, known.iter().copied());
        bail!(
            "`{kind}` has no option `{name}`{near}; it has {}",
            known.join(", ")
        );
    }
    let max_gradient_norm = match given.get("max_gradient_norm") {
        None => run.max_gradient_norm,
        Some(Value::Null) => None,
        Some(_) => Some(number(given, "max_gradient_norm", 0.0)?),
    };
    if kind == "sgd" {
        return Ok(Box::new(Sgd::new(variables, max_gradient_norm)));
    }
    let base = adamw_options(run);
    let options = AdamWOptions {
        max_gradient_norm,
        weight_decay: number(given, "weight_decay", base.weight_decay)?,
        beta1: number(given, "beta1", base.beta1)?,
        beta2: number(given, "beta2", base.beta2)?,
        epsilon: number(given, "epsilon", base.epsilon)?,
        ..base
    };
    Ok(Box::new(AdamW::new(variables, options)))
}

fn adamw_options(run: &TrainingOptions) -> AdamWOptions {
    let plain = AdamWOptions {
        max_gradient_norm: run.max_gradient_norm,
        ..AdamWOptions::default()
    };
    match run.optimizer {
        OptimizerOptions::AdamW {
            beta1,
            beta2,
            weight_decay,
        } => AdamWOptions {
            beta1,
            beta2,
            weight_decay,
            ..plain
        },
        OptimizerOptions::Sgd => plain,
    }
}

/// An option that is a number of at least 0.
fn number(given: &Map<String, Value>, name: &str, default: f64) -> Result<f64> {
    let Some(value) = given.get(name) else {
        return Ok(default);
    };
    let number = value.as_f64().filter(|number| *number >= 0.0);
    number.ok_or_else(|| {
        Error::Msg(format!(
            "option `{name}` is {value}, expected a number of at least 0"
        ))
    })
}
