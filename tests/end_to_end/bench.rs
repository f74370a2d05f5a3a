//! `harness bench` and `harness report`: an experiment from its file and from flags, killed and taken up again, shown again.

use serde_json::Value;

use crate::world::{World, write_model_of_seed};

const EXPERIMENT: &str = "model: model
oracle: oracle
forget: tasks/facts.yaml
retain: tasks/others.yaml
utility: [tasks/choices.yaml]
methods: [grad_ascent, {method: npo, name: gentle, set: {beta: 0.5}, steps: 3}]
seeds: [0, 1]
unlearn: {steps: 2, batch_size: 2, learning_rates: [1e-2]}
relearn: {learning_rates: [1e-2], max_steps: 4, batch_size: 4}
questions: 2
noise: false
";

fn world() -> World {
    let world = World::new();
    write_model_of_seed(&world.path("oracle"), 2);
    world.write("e.yaml", EXPERIMENT);
    world
}

fn card(world: &World, run: &str) -> Value {
    serde_json::from_str(&world.read(&format!("{run}/scorecard.json"))).unwrap()
}

fn names(card: &Value) -> Vec<&str> {
    let rows = card["rows"].as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn an_experiment_leaves_a_card_values_and_a_page_and_repeats_nothing() {
    let world = world();
    let run = ["bench", "e.yaml", "--output-path", "run"];
    let first = world.succeeds(&run);
    let (text, values) = (
        world.read("run/scorecard.json"),
        std::fs::read(world.path("run/samples.parquet")).unwrap(),
    );
    let scorecard = card(&world, "run");
    assert_eq!(
        names(&scorecard),
        ["original", "oracle", "grad_ascent", "gentle"]
    );
    for row in &scorecard["rows"].as_array().unwrap()[2..] {
        assert_eq!(row["seeds"], 2, "{row}");
        assert!(
            row["standing"]["forgetting"]["loss"]["value"].is_number(),
            "{row}"
        );
    }
    assert!(first.stdout.contains("gentle") && values.starts_with(b"PAR1"));
    let page = world.read("run/report.html");
    assert!(page.contains("thing 0") && page.contains("Thing 0 is red."));

    let model = world.path("run/models/gentle-seed1/model.safetensors");
    let made = std::fs::metadata(&model).unwrap().modified().unwrap();
    let again = world.succeeds(&run);
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(std::fs::metadata(&model).unwrap().modified().unwrap(), made);

    std::fs::remove_file(world.path("run/scorecard.json")).unwrap();
    world.succeeds(&["report", "run"]);
    assert_eq!(world.read("run/scorecard.json"), text);
    assert_eq!(
        std::fs::read(world.path("run/samples.parquet")).unwrap(),
        values
    );
}

#[test]
fn what_was_half_done_is_done_again_and_ends_the_same() {
    let world = world();
    world.succeeds(&["bench", "e.yaml", "--output-path", "whole"]);
    // As if the run had been killed while a model was made and a record written.
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    std::fs::remove_file(world.path("run/stages/make-gentle-seed0.json")).unwrap();
    std::fs::remove_file(world.path("run/stages/score-grad_ascent-seed1.json")).unwrap();
    std::fs::remove_file(world.path("run/experiment.json")).unwrap();
    std::fs::remove_file(world.path("run/models/gentle-seed0/model.safetensors")).unwrap();
    std::fs::create_dir(world.path("run/models/gentle-seed0.partial")).unwrap();
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    assert_eq!(
        world.read("run/scorecard.json"),
        world.read("whole/scorecard.json")
    );
}

#[test]
fn a_changed_request_is_not_answered_from_old_work() {
    let world = world();
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    let before = card(&world, "run");
    world.write("e.yaml", &EXPERIMENT.replace("beta: 0.5", "beta: 0.1"));
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    let after = card(&world, "run");
    assert_eq!(
        before["rows"][2], after["rows"][2],
        "grad_ascent has not changed"
    );
    assert_ne!(before["rows"][3], after["rows"][3], "gentle has");
}

#[test]
fn flags_are_an_experiment_too_and_runs_compare() {
    let world = world();
    let flags = [
        "bench",
        "--model",
        "model",
        "--oracle",
        "oracle",
        "--forget",
        "tasks/facts.yaml",
        "--retain",
        "tasks/others.yaml",
        "--tasks",
        "tasks/choices.yaml",
        "--methods",
        "grad_diff",
        "--steps",
        "2",
        "--lr",
        "1e-2",
        "--output-path",
        "flags",
    ];
    world.succeeds(&[&flags[..], &["--dry-run"]].concat());
    assert!(!world.path("flags").exists(), "a dry run writes nothing");
    world.succeeds(&flags);
    assert!(names(&card(&world, "flags")).contains(&"grad_diff"));
    world.write(
        "e.yaml",
        &EXPERIMENT.replace("questions: 2", "questions: 6"),
    );
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    let both = ["report", "run", "flags", "--output-path", "both"];
    world.succeeds(&both);
    let both = card(&world, "both");
    let rows = names(&both);
    assert!(
        rows.contains(&"e: gentle") && rows.contains(&"bench: grad_diff"),
        "{rows:?}"
    );
}

#[test]
fn mistakes_end_before_anything_is_made() {
    let world = world();
    let cases: [(&[&str], &[&str]); 7] = [
        (&["bench", "nothing.yaml"], &["nothing.yaml"]),
        (
            &["bench", "--model", "model", "--forget", "tasks/facts.yaml"],
            &["--methods"],
        ),
        (
            &[
                "bench",
                "--model",
                "model",
                "--forget",
                "tasks/facts.yaml",
                "--methods",
                "npoo",
            ],
            &["npoo", "npo"],
        ),
        (
            &[
                "bench",
                "--model",
                "model",
                "--forget",
                "tasks/facts.yaml",
                "--methods",
                "npo",
            ],
            &["npo", "retain"],
        ),
        (
            &[
                "bench",
                "--model",
                "modell",
                "--forget",
                "tasks/facts.yaml",
                "--methods",
                "grad_ascent",
            ],
            &["modell", "model"],
        ),
        (&["report", "nowhere"], &["nowhere", "harness bench"]),
        (&["report", "model", "oracle"], &["experiment.json"]),
    ];
    for (arguments, parts) in cases {
        world.fails(2, arguments, parts);
    }
    world.write("bad.yaml", &format!("{EXPERIMENT}utilty: []\n"));
    world.fails(
        2,
        &["bench", "bad.yaml"],
        &["bad.yaml:12", "utilty", "utility"],
    );
    world.write("bad.yaml", &EXPERIMENT.replace("beta", "betta"));
    world.fails(2, &["bench", "bad.yaml"], &["betta", "beta"]);
    assert!(!world.path("runs").exists());
    world.write("taken/file", "mine");
    world.fails(
        2,
        &["bench", "e.yaml", "--output-path", "taken"],
        &["taken", "not empty"],
    );
}

/// What is measured and asked, and the attacks.
const KNOWN_STAGES: [&str; 11] = [
    "relearn-1baf8d6ce43b635a 1baf8d6ce43b635a",
    "relearn-23b5b9f976a7b6e1 23b5b9f976a7b6e1",
    "relearn-2e92948bcaa0cab1 2e92948bcaa0cab1",
    "relearn-427061654d09342c 427061654d09342c",
    "relearn-748b44939dfb2c89 748b44939dfb2c89",
    "relearn-d328cc8ca7082205 d328cc8ca7082205",
    "relearn-eb7e58594e9df597 eb7e58594e9df597",
    "relearn-f6b254d36d32780d f6b254d36d32780d",
    "score-no_op-seed0 acc99da2ea6edaf8",
    "score-oracle 7f03c20586576e28",
    "score-original dbd7edfdf574a160",
];

/// Whoever has to change these keys makes every unfinished experiment begin anew.
#[test]
fn finished_stages_are_found_again_by_later_versions() {
    let world = world();
    // Trained weights would differ from machine to machine.
    let methods = EXPERIMENT.lines().find(|line| line.starts_with("methods"));
    let untrained = EXPERIMENT.replace(methods.unwrap(), "methods: [no_op]");
    world.write("e.yaml", &untrained.replace("seeds: [0, 1]", "seeds: [0]"));
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    let mut keys: Vec<String> = world
        .find("run/stages", "", ".json")
        .iter()
        .map(|file| {
            let record: Value =
                serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            let stage = file.file_stem().unwrap().to_str().unwrap();
            format!("{stage} {}", &record["key"].as_str().unwrap()[..16])
        })
        // The methods' libraries differ from machine to machine.
        .filter(|key| !key.starts_with("make-"))
        .collect();
    keys.sort();
    assert_eq!(keys, KNOWN_STAGES);
}
