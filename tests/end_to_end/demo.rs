//! `harness demo`: the story holds, and a second run repeats nothing.

use serde_json::Value;

use crate::world::World;

#[test]
fn the_whole_story() {
    let world = World::new();
    let first = world.succeeds(&["demo", "--output-path", "run"]);
    let card: Value = serde_json::from_str(&world.read("run/scorecard.json")).unwrap();
    let rows = card["rows"].as_array().unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["entry"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["original", "oracle", "grad_ascent", "grad_diff", "npo"]
    );
    for name in &names {
        assert!(
            first.stdout.lines().any(|line| line.starts_with(name)),
            "{}",
            first.stdout
        );
    }
    let standing = |i: usize, key: &str| rows[i]["standing"][key].as_f64().unwrap();
    let measured = |i: usize| &rows[i]["entry"]["outcome"]["measured"];
    let strength = |i: usize| {
        measured(i)["forget"]["extraction_strength"]["value"]
            .as_f64()
            .unwrap()
    };
    let samples = |i: usize| measured(i)["relearning"]["samples"].as_u64().unwrap();
    assert!(
        strength(0) > 0.95 && strength(1) < 0.2,
        "the original knows, the oracle does not"
    );
    assert!(standing(0, "forgetting").abs() < 1e-12);
    assert!((standing(1, "forgetting") - 1.0).abs() < 1e-12);
    assert!((standing(1, "cost_share") - 1.0).abs() < 1e-12);
    assert!(
        samples(0) < samples(1),
        "knowing comes back faster than it comes"
    );
    for (i, name) in names.iter().enumerate().skip(2) {
        assert!(standing(i, "forgetting") > 0.5, "{name}");
        assert!(standing(i, "cost_share") < 0.5, "{name}");
    }

    let models = std::fs::metadata(world.path("run/models/npo/model.safetensors")).unwrap();
    let second = world.succeeds(&["demo", "--output-path", "run"]);
    assert_eq!(first.stdout, second.stdout);
    let again = std::fs::metadata(world.path("run/models/npo/model.safetensors")).unwrap();
    assert_eq!(
        models.modified().unwrap(),
        again.modified().unwrap(),
        "no stage is run twice"
    );
    world.succeeds(&[
        "eval",
        "--model",
        "run/models/npo",
        "--tasks",
        "demo_general",
    ]);
}
