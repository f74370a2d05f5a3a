//! `harness unlearn` with the methods that come along.

use serde_json::Value;

use crate::world::World;

const COMMON: [&str; 13] = [
    "unlearn",
    "--model",
    "model",
    "--forget",
    "tasks/facts.yaml",
    "--retain",
    "tasks/others.yaml",
    "--steps",
    "4",
    "--batch-size",
    "2",
    "--lr",
    "1e-2",
];

fn unlearn(world: &World, method: &str, output: &str, more: &[&str]) {
    let arguments = [
        &COMMON[..],
        &["--method", method, "--output-path", output],
        more,
    ]
    .concat();
    world.succeeds(&arguments);
}

#[test]
fn every_method_writes_a_model_and_a_log() {
    let world = World::new();
    for method in ["grad_ascent", "grad_diff", "npo"] {
        unlearn(&world, method, method, &[]);
        world.succeeds(&["eval", "--model", method, "--tasks", "tasks/choices.yaml"]);
        let log = world.read(&format!("{method}/unlearn.jsonl"));
        let steps: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(steps.len(), 4);
        for key in [
            "step",
            "loss",
            "parts",
            "learning_rate",
            "tokens",
            "seconds",
        ] {
            assert!(
                steps[0].get(key).is_some(),
                "{method}: no {key} in {}",
                steps[0]
            );
        }
        let loss = |step: &Value| step["loss"].as_f64().unwrap();
        assert!(loss(&steps[3]) < loss(&steps[0]), "{method}: {log}");
        assert!(!world.path(&format!("{method}.partial")).exists());
    }
}

#[test]
fn npo_starts_at_two_over_beta_times_log_two() {
    let world = World::new();
    unlearn(&world, "npo", "out", &["--set", "beta=0.5"]);
    let first: Value =
        serde_json::from_str(world.read("out/unlearn.jsonl").lines().next().unwrap()).unwrap();
    let loss = first["parts"]["forget_loss"].as_f64().unwrap();
    assert!((loss - 4.0 * 2f64.ln()).abs() < 1e-4, "{loss}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let world = World::new();
    for (output, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
        unlearn(&world, "npo", output, &["--seed", seed]);
    }
    let weights =
        |output: &str| std::fs::read(world.path(output).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b"));
    assert!(weights("a") != weights("c"));
}

#[test]
fn an_occupied_output_is_left_alone() {
    let world = World::new();
    world.write("out/precious.txt", "mine");
    let arguments = [&COMMON[..], &["--method", "npo", "--output-path", "out"]].concat();
    world.fails(2, &arguments, &["out", "not empty"]);
    assert_eq!(world.read("out/precious.txt"), "mine");
}
