//! `harness demo`: the story holds, and a second run repeats nothing.

use serde_json::Value;

use crate::world::World;

const RUN: [&str; 5] = [
    "demo",
    "--output-path",
    "run",
    "--methods",
    "grad_ascent,grad_diff,npo",
];

/// A number of a row, by the path to it.
fn number(row: &Value, path: &str) -> f64 {
    row.pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{path} in {row}"))
}

#[test]
fn the_whole_story() {
    let world = World::new();
    let first = world.succeeds(&RUN);
    let card: Value = serde_json::from_str(&world.read("run/scorecard.json")).unwrap();
    let rows = card["rows"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    let expected = [
        "original",
        "oracle",
        "oracle twin",
        "grad_ascent",
        "grad_ascent × 3",
        "grad_diff",
        "npo",
        "noise",
        "noise × 30",
    ];
    assert_eq!(names, expected);
    let strength = |name| {
        number(
            row(name),
            "/standing/scores/forget/extraction_strength/value",
        )
    };
    let forgetting = |name| number(row(name), "/standing/forgetting/extraction_strength/value");
    let utility = |name| number(row(name), "/standing/utility/value");
    let attack = |name| number(row(name), "/standing/membership/min_k/value");
    let area = |name| number(row(name), "/standing/relearning/area");

    assert!(
        strength("original") > 0.95 && strength("oracle") < 0.2,
        "one knows, the other does not"
    );
    assert!(forgetting("original").abs() < 1e-12 && (utility("original") - 1.0).abs() < 1e-12);
    assert!((forgetting("oracle") - 1.0).abs() < 1e-12);
    assert!(number(&card, "/noise_floor") < 0.1, "two oracles are alike");
    assert!(
        attack("original") > 0.95 && attack("oracle") < 0.75,
        "only what was trained on is betrayed"
    );
    let time = |name, at: &str| number(row(name), &format!("/standing/relearning/{at}/samples"));
    assert!(
        time("original", "half") < 1e-12,
        "the original has nothing to learn back"
    );
    assert!((number(row("oracle"), "/standing/relearning/half/ratio") - 1.0).abs() < 1e-12);
    assert!(
        area("original") > 0.99 && area("oracle") < area("npo"),
        "the knowledge was hidden, not gone"
    );
    for name in ["grad_ascent", "grad_diff", "npo"] {
        assert!(forgetting(name) > 0.5, "{name}");
        assert!(number(row(name), "/cost_share") < 0.5, "{name}");
    }
    assert!((number(row("oracle"), "/cost_share") - 1.0).abs() < 1e-12);
    assert!(
        forgetting("noise") < forgetting("npo"),
        "what methods change is no noise"
    );
    assert!(
        (utility("noise") - 1.0).abs() < 0.05 && utility("noise × 30") < 0.6,
        "random weights of the methods' size harm nothing, many of them everything"
    );
    assert!(
        utility("grad_ascent × 3") < 0.5 && forgetting("grad_ascent × 3") > 1.05,
        "gradient ascent does not know when to stop"
    );
    a_second_run_repeats_nothing(&world, &first.stdout);
}

fn a_second_run_repeats_nothing(world: &World, first: &str) {
    let model = world.path("run/models/npo-seed0/model.safetensors");
    let made = || std::fs::metadata(&model).unwrap().modified().unwrap();
    let before = made();
    assert_eq!(world.succeeds(&RUN).stdout, first);
    assert_eq!(made(), before);
    let eval = [
        "eval",
        "--model",
        "run/models/npo-seed0",
        "--tasks",
        "demo_general",
    ];
    world.succeeds(&eval);
}
