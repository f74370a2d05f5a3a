//! Every operation, three ways: candle behind the C boundary, the SDK's test rig, and finite differences of the rig. Values and derivatives agree.

#[path = "../../examples/fixture_operations.rs"]
mod fixture_operations;

use fixture_operations::Operations;
use harness_host::{LoadedMethod, Role};
use harness_sdk::{Outcome, TestRig};
use serde_json::json;

use crate::common::{Batches, fixture};

const OPERATIONS: &str = "x + y;x - y;x * y;x / y;&x + &y;x - mean y;sum y / x;x + 2;2 + x;x - 2;2 - x;x * 2;2 * x;x / 2;2 / x;-x;\
    maximum;minimum;exp;log;sigmoid;log_sigmoid;softplus;tanh;relu;square;sqrt;sum;mean;policy;mean_per_sequence;\
    answer_tokens;constants";

/// Two sequences of three tokens and one.
const X: [f64; 4] = [-0.5, -2.5, -1.0, -31.0];
const Y: [f64; 4] = [-1.5, -0.75, -2.0, -3.5];

fn run_on_rig(operation: &str, x: &[f64]) -> Outcome {
    let method: Operations = serde_json::from_value(json!({ "operation": operation })).unwrap();
    let rig = TestRig::new().policy(Role::Forget, &[&x[..3], &x[3..]]);
    rig.policy(Role::Retain, &[&Y[..3], &Y[3..]])
        .run(&method)
        .unwrap()
}

#[track_caller]
fn assert_close(operation: &str, got: f64, expected: f64, relative: f64) {
    let error = (got - expected).abs();
    assert!(
        error <= relative * expected.abs().max(1e-3),
        "{operation}: {got} is not {expected}"
    );
}

#[test]
fn host_and_rig_agree_on_every_operation() {
    let library = LoadedMethod::open(&fixture("operations")).unwrap();
    let single = |values: [f64; 4]| values.map(|value| value as f32);
    let batches = Batches::default()
        .with(Role::Forget, &[3, 1], &single(X), &[])
        .with(Role::Retain, &[3, 1], &single(Y), &[]);
    for operation in OPERATIONS.split(';').chain(["detach"]) {
        let instance = library.create(&json!({ "operation": operation })).unwrap();
        let step = instance.loss(&batches).unwrap();
        let rig = run_on_rig(operation, &X);
        assert_close(operation, f64::from(step.value), rig.loss, 1e-5);
        let gradients = step.loss.backward().unwrap();
        for role in [Role::Forget, Role::Retain] {
            let by_host = gradients
                .get(&batches.policy[&role])
                .map(|g| g.to_vec1::<f32>().unwrap());
            let by_host = by_host.unwrap_or_else(|| vec![0.0; 4]);
            for (&got, &expected) in by_host.iter().zip(rig.gradient(role)) {
                assert_close(operation, f64::from(got), expected, 1e-5);
            }
        }
    }
}

#[test]
fn the_rigs_derivatives_are_those_of_its_values() {
    let width = 1e-4;
    // `detach` is left out: a finite difference sees through it.
    for operation in OPERATIONS.split(';') {
        let derivatives = run_on_rig(operation, &X);
        for token in 0..X.len() {
            let moved = |by: f64| {
                let mut x = X;
                x[token] += by;
                run_on_rig(operation, &x).loss
            };
            let difference = (moved(width) - moved(-width)) / (2.0 * width);
            assert_close(
                operation,
                derivatives.gradient(Role::Forget)[token],
                difference,
                1e-5,
            );
        }
    }
}
