//! F1 and Matthews correlation against scikit-learn's.

use harness_metric::{
    F1Average, MetricError, averaged_f1, binary_f1, bootstrap_stderr, matthews_correlation,
};
use serde_json::Value;

use crate::golden::{assert_agrees, assert_close, for_each_case, number, pairs, text};

const RECORDING: &str = "metrics/lm_eval_aggregations.json";

/// Labels as text, with Python's 1 for True.
fn label(value: &Value) -> String {
    match value {
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn labels(case: &Value) -> Vec<(String, String)> {
    pairs(&case["input"], label, label)
}

fn f1(pairs: &[(String, String)]) -> Result<f64, MetricError> {
    binary_f1(pairs, &"1".to_owned())
}

#[test]
fn scores() {
    for_each_case(RECORDING, "f1", |case| {
        assert_agrees(f1(&labels(case)), &case["expected"], case);
    });
    for_each_case(RECORDING, "weighted_f1", |case| {
        let score = averaged_f1(&labels(case), F1Average::Weighted);
        assert_agrees(score, &case["expected"], case);
    });
    for_each_case(RECORDING, "mcc", |case| {
        assert_agrees(matthews_correlation(&labels(case)), &case["expected"], case);
    });
}

#[test]
fn bootstraps() {
    for_each_case(RECORDING, "bootstrap_stderr", |case| {
        let aggregate = match text(case, "metric") {
            "f1" => f1,
            "mcc" => matthews_correlation,
            _ => return,
        };
        let replicates = case["iters"].as_u64().unwrap() as usize;
        let stderr = bootstrap_stderr(&labels(case), replicates, aggregate).unwrap();
        assert_close(stderr.unwrap(), number(&case["expected"]), case);
    });
}

/// What a command waits for after the model has answered.
#[test]
fn a_bootstrap_of_the_usual_size_takes_seconds() {
    let pairs: Vec<(u8, u8)> = (0..1000_u32)
        .map(|index| (u8::from(index % 3 == 0), u8::from(index % 4 == 0)))
        .collect();
    let started = std::time::Instant::now();
    let stderr = bootstrap_stderr(&pairs, 100_000, matthews_correlation).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("100,000 replicates of 1,000 documents: {seconds:.1} s");
    assert!(stderr.is_some() && seconds < 120.0, "{seconds} s");
}
