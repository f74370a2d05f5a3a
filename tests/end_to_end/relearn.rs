//! `harness relearn`: finite and censored times, and the record on disk.

use serde_json::Value;

use crate::world::World;

#[test]
fn an_unlearned_model_takes_longer_than_the_original() {
    let world = World::new();
    let unlearn = [
        "unlearn",
        "--model",
        "model",
        "--method",
        "grad_ascent",
        "--forget",
        "tasks/facts.yaml",
    ];
    world.succeeds(
        &[
            &unlearn[..],
            &["--steps", "10", "--lr", "1e-2", "--output-path", "out"],
        ]
        .concat(),
    );
    let relearn = [
        "relearn",
        "--original",
        "model",
        "--unlearned",
        "out",
        "--forget",
        "tasks/facts.yaml",
    ];
    let settings = ["--lr", "1e-2", "--max-steps", "80", "--output-path", "run"];
    let outcome = world.succeeds(&[&relearn[..], &settings].concat());
    assert!(
        outcome
            .stdout
            .lines()
            .any(|line| line.starts_with("original")),
        "{}",
        outcome.stdout
    );
    let record: Value = serde_json::from_str(&world.read("run/relearn.json")).unwrap();
    let steps = |i: usize| record["models"][i]["curve"]["steps"].as_u64().unwrap();
    assert!(steps(0) < steps(1), "{record}");
    assert_eq!(record["models"][1]["curve"]["reached"], true);
    assert_eq!(
        record["models"][1]["curve"]["losses"]
            .as_array()
            .unwrap()
            .len() as u64,
        steps(1)
    );
    assert_eq!(
        record["models"][1]["curve"]["samples"].as_u64().unwrap(),
        3 * steps(1)
    );

    let outcome = world.succeeds(&[&relearn[..], &["--lr", "1e-2", "--max-steps", "2"]].concat());
    let censored = outcome
        .stdout
        .lines()
        .find(|line| line.starts_with("out"))
        .unwrap();
    assert!(
        censored.contains("≥ 2 ") && censored.contains("≥ 6 ") && censored.contains("not reached"),
        "{censored}"
    );
}

#[test]
fn one_diverging_model_does_not_take_the_others_along() {
    let world = World::new();
    let relearn = [
        "relearn",
        "--original",
        "model",
        "--unlearned",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    let settings = [
        "--lr",
        "1e30",
        "--max-steps",
        "9",
        "--limit",
        "4",
        "--output-path",
        "run",
    ];
    let outcome = world.harness(&[&relearn[..], &settings].concat());
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let record: Value = serde_json::from_str(&world.read("run/relearn.json")).unwrap();
    assert_eq!(record["models"].as_array().unwrap().len(), 2);
}
