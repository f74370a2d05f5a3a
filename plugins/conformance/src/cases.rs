//! Which recorded case belongs to which method, and how close a method must come to it.

use std::path::Path;

use harness_host::{LoadedMethod, Role};
use harness_model::train::{
    AdamW, AdamWOptions, DecayGroup, Gradient, GradientSet, Optimizer, Sgd,
};
use serde_json::{Map, Value, json};

use crate::recording::{Recording, Started};
use crate::{Answer, Finding, Recordings, number};

/// Losses and their parts, relative to the largest part.
const LOSS_TOLERANCE: f64 = 1e-4;
/// Norms of gradients, relative, and the absolute noise of gradients that are zero.
const GRADIENT_TOLERANCE: (f64, f64) = (1e-3, 1e-5);
/// Losses on the way of ten steps.
const TRAJECTORY_TOLERANCE: f64 = 1e-3;

/// Recorded folders with the families of their models.
const FOLDERS: [(&str, &str); 4] = [
    ("llama", "llama"),
    ("llama-mem", "llama"),
    ("opt", "opt"),
    ("opt-mem", "opt"),
];

/// A recorded case.
struct Case {
    name: &'static str,
    id: &'static str,
    /// Whether padding enters the loss.
    counts_padding: bool,
}

const fn case(name: &'static str, id: &'static str) -> Case {
    Case {
        name,
        id,
        counts_padding: false,
    }
}

const fn padded(name: &'static str, id: &'static str) -> Case {
    Case {
        counts_padding: true,
        ..case(name, id)
    }
}

const CASES: [Case; 26] = [
    case("GradAscent", "grad_ascent"),
    case("GradDiff", "grad_diff"),
    padded("GradDiff_KL", "kl_min"),
    case("GradDiff_weights", "grad_diff"),
    case("NPO", "npo"),
    padded("NPO_KL", "npo"),
    case("NPO_beta1", "npo"),
    case("SimNPO", "simnpo"),
    case("SimNPO_delta", "simnpo"),
    case("DPO", "dpo"),
    padded("DPO_KL", "dpo"),
    case("RMU", "rmu"),
    case("RMU_down_proj", "rmu"),
    padded("UNDIAL", "undial"),
    padded("UNDIAL_retain", "undial"),
    case("WGA", "wga"),
    case("WGA_beta05", "wga"),
    case("SatImp", "satimp"),
    case("SatImp_class", "satimp"),
    case("CEU", "ceu"),
    case("CEU_ignore0", "ceu"),
    case("CEU_ignore3", "ceu"),
    case("PDU_warmup", "pdu"),
    case("PDU", "pdu"),
    case("PDU_no_dual", "pdu"),
    // Not of open-unlearning, and recorded elsewhere in the index.
    padded(LLMU, "llmu"),
];
const LLMU: &str = "yao";

/// The methods that recordings exist for.
pub fn method_ids() -> Vec<&'static str> {
    let mut ids: Vec<_> = CASES.iter().map(|case| case.id).collect();
    ids.dedup();
    ids
}

/// The recorded arguments as options of ours.
fn options(case: &Case, arguments: &Value) -> Value {
    let mut options = Map::new();
    for (name, value) in arguments.as_object().into_iter().flatten() {
        let name = match (name.as_str(), case.id) {
            ("ignore_first_n_answer_tokens", _) => "ignore_first",
            ("retain_loss_type", "npo" | "dpo") => "retain_loss",
            (
                "retain_loss_type"
                | "dual_update_upon"
                | "loss_names"
                | "trainable_params_regex"
                | "module_regex",
                _,
            ) => continue,
            (name, _) => name,
        };
        let value = match value.as_str() {
            Some(text) => json!(text.to_lowercase()),
            None => value.clone(),
        };
        options.insert(name.to_owned(), value);
    }
    let quirk = match case.id {
        "undial" => Some("all_positions"),
        "pdu" => Some("unshifted"),
        "rmu" => Some("across_answers"),
        "llmu" => Some("count_one_more"),
        _ => None,
    };
    options.extend(quirk.map(|name| (name.to_owned(), json!(true))));
    if case.id == "rmu" {
        options.insert("layer".into(), json!(1));
    }
    Value::Object(options)
}

/// Compares the method with every recording of it.
pub(crate) fn check(method: &LoadedMethod, recordings: &Recordings) -> Vec<Finding> {
    let id = method.description().id.as_str();
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.id == id).collect();
    let mut findings = Vec::new();
    if cases.is_empty() {
        findings.push(Finding {
            question: "recordings".into(),
            answer: Answer::Skipped(format!("there are none of {id}")),
        });
        return findings;
    }
    for (name, family) in FOLDERS {
        match Recording::open(name, family, recordings) {
            Err(error) => findings.push(Finding::new(format!("recording {name}"), Err(error))),
            Ok(recording) => {
                for case in &cases {
                    findings.extend(compare(method, &recording, case));
                }
            }
        }
    }
    findings
}

fn compare(method: &LoadedMethod, recording: &Recording, case: &Case) -> Vec<Finding> {
    if case.counts_padding && !recording.has_plain_padding() {
        return vec![];
    }
    let recorded = &recording.numbers["cases"][case.name];
    let question = |what: &str| format!("{} {}: {what}", recording.name, case.name);
    if case.name == LLMU {
        let normal = normal_term(method, recording);
        return vec![Finding::new(question("the normal term"), normal)];
    }
    if recorded.is_null() {
        return vec![];
    }
    let mut findings = vec![Finding::new(
        question("losses and gradients"),
        losses(method, recording, case, recorded),
    )];
    if case.name == "RMU_down_proj" {
        return findings;
    }
    for optimizer in ["sgd", "adamw"] {
        let steps = trajectory(method, recording, (case, recorded), optimizer);
        findings.push(Finding::new(
            question(&format!("ten steps of {optimizer}")),
            steps,
        ));
    }
    findings
}

fn roles(batch: &str) -> Vec<(Role, String)> {
    [
        (Role::Forget, "forget"),
        (Role::Alternate, "alternate"),
        (Role::Retain, "retain"),
    ]
    .map(|(role, name)| (role, format!("{batch}.{name}")))
    .into()
}

fn losses(
    method: &LoadedMethod,
    recording: &Recording,
    case: &Case,
    recorded: &Value,
) -> Result<String, String> {
    let (mut worst_loss, mut worst_gradient) = (0f64, 0f64);
    let random = format!("{}.control_vec", case.name);
    for batch in ["b0", "b1"] {
        let expected = &recorded["batches"][batch];
        let instance = method
            .create(&options(case, &recorded["method_args"]))
            .map_err(|error| error.to_string())?;
        let started = recording.start()?;
        let step = recording.loss(&started, &instance, &roles(batch), Some(&random))?;
        let parts: Vec<(&str, f64)> = step
            .logged
            .iter()
            .filter(|(name, _)| expected.get(name).is_some())
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        // A total may be a small difference of large parts: its error is measured against them.
        let scale = parts
            .iter()
            .fold(0f64, |scale, (_, value)| scale.max(value.abs()));
        for (name, value) in parts
            .iter()
            .copied()
            .chain([("loss", f64::from(step.value))])
        {
            let expected = number(&expected[name])?;
            let error = (value - expected).abs() / scale.max(expected.abs());
            if error > LOSS_TOLERANCE || error.is_nan() {
                return Err(format!("{batch}, {name}: {value}, not {expected}"));
            }
            worst_loss = worst_loss.max(error);
        }
        let deviation = gradients(&started, &step.loss, &expected["grad_norm"])
            .map_err(|error| format!("{batch}, {error}"))?;
        worst_gradient = worst_gradient.max(deviation);
    }
    Ok(format!("within {worst_loss:.0e} and {worst_gradient:.0e}"))
}

/// The largest relative deviation of gradients' norms.
fn gradients(
    started: &Started,
    loss: &candle_core::Tensor,
    expected: &Value,
) -> Result<f64, String> {
    let mut gradients = GradientSet::new(&started.variables);
    gradients
        .add_backward(loss)
        .map_err(|error| error.to_string())?;
    let mut worst = 0f64;
    for (name, expected) in expected.as_object().into_iter().flatten() {
        let Some(expected) = expected.as_f64() else {
            continue;
        };
        let found = gradients.get(name).map_or(0.0, norm);
        let error = (found - expected).abs();
        if error > GRADIENT_TOLERANCE.0 * expected.abs() + GRADIENT_TOLERANCE.1 || found.is_nan() {
            return Err(format!("gradient of {name}: norm {found}, not {expected}"));
        }
        worst = worst.max((error - GRADIENT_TOLERANCE.1).max(0.0) / expected.abs());
    }
    Ok(worst)
}

fn norm(gradient: Gradient) -> f64 {
    let values = gradient.values().unwrap_or_default();
    let squares = values.iter().map(|&value| f64::from(value).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Losses before and after each of ten steps.
fn trajectory(
    method: &LoadedMethod,
    recording: &Recording,
    (case, recorded): (&Case, &Value),
    optimizer: &str,
) -> Result<String, String> {
    let text = |error: harness_model::ModelError| error.to_string();
    let expected = &recorded["trajectory"][optimizer];
    let rounding = number(&expected["max_rel_diff_float64"])?;
    let tolerance = (20.0 * rounding).max(TRAJECTORY_TOLERANCE);
    let instance = method
        .create(&options(case, &recorded["method_args"]))
        .map_err(|error| error.to_string())?;
    let started = recording.start()?;
    let variables = started.variables.clone();
    let (mut stepper, rate): (Box<dyn Optimizer>, f64) = if optimizer == "sgd" {
        (Box::new(Sgd::new(variables, None)), 0.05)
    } else {
        let options = AdamWOptions {
            decayed: DecayGroup::All,
            max_gradient_norm: None,
            ..AdamWOptions::default()
        };
        (Box::new(AdamW::new(variables, options)), 1e-3)
    };
    let mut gradients = GradientSet::new(&started.variables);
    let random = format!("{}.control_vec", case.name);
    let mut worst = 0f64;
    // PDU's weights change with every loss, and were recorded as they are before the step.
    let moments: &[&str] = match case.id {
        "pdu" => &["loss_before_step"],
        _ => &["loss_before_step", "loss_after_step"],
    };
    for step in 0..10 {
        let roles = roles(&format!("b{}", step % 2));
        for moment in moments {
            let loss = recording.loss(&started, &instance, &roles, Some(&random))?;
            let parts = loss.logged.iter().map(|(_, value)| value.abs());
            let expected = number(&expected[*moment][step])?;
            let scale = parts.fold(expected.abs(), f64::max);
            let error = (f64::from(loss.value) - expected).abs() / scale;
            if error > tolerance || error.is_nan() {
                let value = loss.value;
                return Err(format!("step {step}, {moment}: {value}, not {expected}"));
            }
            worst = worst.max(error);
            if *moment == "loss_before_step" {
                gradients.clear();
                gradients.add_backward(&loss.loss).map_err(text)?;
                stepper.step(&gradients, rate).map_err(text)?;
            }
        }
    }
    Ok(format!("within {worst:.0e} of {tolerance:.0e}"))
}

/// LLMU's normal term. Its recorded answer terms depend on where one tokenizer's padding lies, and are compared nowhere.
fn normal_term(method: &LoadedMethod, recording: &Recording) -> Result<String, String> {
    let mut worst = 0f64;
    for batch in ["b0", "b1"] {
        let instance = method.create(&json!({ "count_one_more": true }));
        let instance = instance.map_err(|error| error.to_string())?;
        let roles = [
            (Role::Forget, "bad"),
            (Role::Mismatch, "random"),
            (Role::Normal, "normal"),
        ];
        let roles = roles.map(|(role, name)| (role, format!("yao.{batch}.{name}")));
        let step = recording.loss(&recording.start()?, &instance, &roles, None)?;
        let expected = number(&recording.numbers["yao"]["batches"][batch]["normal_loss"])?;
        let found = step.logged.iter().find(|(name, _)| name == "normal_loss");
        let found = found.map_or(f64::NAN, |(_, value)| *value);
        let error = (found - expected).abs() / expected.abs();
        if error > LOSS_TOLERANCE || error.is_nan() {
            return Err(format!("{batch}: {found}, not {expected}"));
        }
        worst = worst.max(error);
    }
    Ok(format!("within {worst:.0e}"))
}

/// The folder of small models that belongs to a folder of recordings.
pub fn models_beside(golden: &Path) -> std::path::PathBuf {
    golden.join("../../models")
}
