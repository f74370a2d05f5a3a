//! Groups in `harness eval`: their rows in the table, their sections in the results, and what a run leaves that breaks off.

use serde_json::{Value, json};

use crate::world::World;

fn results(world: &World, out: &str) -> Value {
    let file = &world.find(out, "results_", ".json")[0];
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// A world with a second choice task over four documents, and groups over both.
fn world() -> World {
    let world = World::new();
    let rows = world.read("tasks/rows.jsonl");
    let few: Vec<&str> = rows.lines().take(4).collect();
    world.write("tasks/few.jsonl", &few.join("\n"));
    let task = world.read("tasks/choices.yaml");
    world.write(
        "tasks/few.yaml",
        &task
            .replace("task: choices", "task: few")
            .replace("rows.jsonl", "few.jsonl"),
    );
    world.write(
        "tasks/both.yaml",
        "group: both\ngroup_alias: the two\ntask: [few, choices]\naggregate_metric_list: [{metric: acc}]\nmetadata: {version: 3}\n",
    );
    world.write("tasks/all.yaml", "group: all\ntask: [both]\n");
    world
}

#[test]
fn groups_are_aggregated() {
    let world = world();
    let outcome = world.succeeds(&[
        "eval",
        "--model",
        "model",
        "--include_path",
        "tasks",
        "--tasks",
        "all",
        "--output_path",
        "out",
    ]);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .map(str::trim_end)
        .filter(|name| !name.trim().is_empty() && !name.starts_with('-'))
        .collect();
    let wanted = [
        "    Tasks",
        "all",
        " - the two",
        "  - choices",
        "  - few",
        "  Groups",
        " - the two",
    ];
    assert_eq!(
        names.iter().map(|name| name.trim()).collect::<Vec<_>>(),
        wanted.map(str::trim)
    );
    assert!(names.contains(&"  - few"), "{}", outcome.stdout);

    let results = results(&world, "out");
    let of = |task: &str, key: &str| results["results"][task][key].as_f64().unwrap();
    let mean = (of("few", "acc,none") * 4.0 + of("choices", "acc,none") * 12.0) / 16.0;
    assert!((of("both", "acc,none") - mean).abs() < 1e-12);
    let squares = 3.0 * 4.0 * of("few", "acc_stderr,none").powi(2)
        + 11.0 * 12.0 * of("choices", "acc_stderr,none").powi(2);
    let pooled = (squares / 14.0 / 16.0).sqrt();
    assert!((of("both", "acc_stderr,none") - pooled).abs() < 1e-12);
    assert_eq!(results["groups"]["both"], results["results"]["both"]);
    assert_eq!(results["results"]["both"]["sample_len"], 16);
    assert_eq!(
        results["results"]["both"]["sample_count"],
        json!({ "acc,none": 16 })
    );
    assert_eq!(
        results["results"]["all"],
        json!({ "name": "all", "alias": "all" })
    );
    assert_eq!(results["groups"].as_object().unwrap().len(), 1);
    assert_eq!(
        results["group_subtasks"],
        json!({ "all": ["both"], "both": ["few", "choices"] })
    );
    assert_eq!(results["versions"]["both"], 3);
    assert_eq!(results["n-shot"]["all"], 0);
    assert_eq!(results["higher_is_better"]["both"], json!({ "acc": true }));
    assert_eq!(results.get("unfinished_tasks"), None);
}

#[test]
fn a_run_that_breaks_off_keeps_what_it_has() {
    let world = world();
    let rows = world.read("tasks/few.jsonl");
    world.write(
        "tasks/few.jsonl",
        &rows.replace("\"label\":3", "\"label\":9"),
    );
    world.fails(
        2,
        &[
            "eval",
            "--model",
            "model",
            "--include_path",
            "tasks",
            "--tasks",
            "choices,both",
            "--output_path",
            "out",
            "--log_samples",
        ],
        &["few"],
    );
    let results = results(&world, "out");
    assert_eq!(results["n-samples"]["choices"]["effective"], 12);
    assert_eq!(results["unfinished_tasks"], json!(["few"]));
    assert_eq!(results.get("groups"), None);
    assert_eq!(world.find("out", "samples_choices_", ".jsonl").len(), 1);
    assert_eq!(world.find("out", "", ".partial").len(), 0);
}
