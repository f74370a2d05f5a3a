//! The methods reproduce open-unlearning's recorded losses from the recorded log-probabilities of the answers.

use std::fs;
use std::path::Path;

use crate::common::{Batches, golden, method};
use harness_host::Role;
use serde_json::{Map, Value};

/// Golden case, and the method that answers to it.
const CASES: [(&str, &str); 5] = [
    ("GradAscent", "grad_ascent"),
    ("GradDiff", "grad_diff"),
    ("GradDiff_weights", "grad_diff"),
    ("NPO", "npo"),
    ("NPO_beta1", "npo"),
];

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Tokens whose sums over each row are the recorded ones.
fn spread(nll_sums: &Value, counts: &[usize]) -> Vec<f32> {
    let rows = numbers(nll_sums).into_iter().zip(counts);
    rows.flat_map(|(sum, &count)| vec![(-sum / count as f64) as f32; count])
        .collect()
}

fn batches(stats: &Value) -> Batches {
    [(Role::Forget, "forget"), (Role::Retain, "retain")]
        .into_iter()
        .fold(Batches::default(), |batches, (role, name)| {
            let stats = &stats[name];
            let counts = numbers(&stats["n_label_tokens_shifted"]);
            let counts: Vec<usize> = counts.iter().map(|&count| count as usize).collect();
            let policy = spread(&stats["model_nll_sum"], &counts);
            let reference = spread(&stats["ref_nll_sum"], &counts);
            batches.with(role, &counts, &policy, &reference)
        })
}

/// The recorded arguments without the one that is no option of ours.
fn options(arguments: &Value) -> Value {
    let arguments = arguments.as_object().unwrap().iter();
    let ours = arguments.filter(|(name, _)| *name != "retain_loss_type");
    Value::Object(
        ours.map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>(),
    )
}

fn check_model(folder: &Path) -> usize {
    let index = fs::read_to_string(folder.join("index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let mut compared = 0;
    for (case, id) in CASES {
        let recorded = &index["cases"][case];
        let instance = method(id)
            .create(&options(&recorded["method_args"]))
            .unwrap();
        for (name, expected) in recorded["batches"].as_object().unwrap() {
            let step = instance.loss(&batches(&index["seq_stats"][name])).unwrap();
            let parts = step
                .logged
                .iter()
                .map(|(name, value)| (name.as_str(), *value));
            // The total may be a small difference of large parts: its error is measured against them.
            let size = parts
                .clone()
                .fold(0.0, |size, (_, value)| value.abs().max(size));
            for (part, value) in parts.chain([("loss", f64::from(step.value))]) {
                let expected = expected[part].as_f64().unwrap();
                let error = (value - expected).abs() / size;
                assert!(
                    error < 1e-5,
                    "{}: {case} {name} {part}: {value}, not {expected}",
                    folder.display()
                );
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn losses_equal_open_unlearnings() {
    let Some(golden) = golden() else { return };
    for model in ["llama", "opt", "llama-mem", "opt-mem"] {
        // Two batches; two numbers for gradient ascent, three for each of the other four cases.
        assert_eq!(
            check_model(&golden.join("unlearning").join(model)),
            2 * (2 + 4 * 3)
        );
    }
}
