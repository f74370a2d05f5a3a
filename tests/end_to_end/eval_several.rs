//! `harness eval` on several models: each as if it were alone, one table, and nothing twice.

use serde_json::Value;

use crate::world::{World, write_model_of_seed};

const TASKS: [&str; 4] = ["--tasks", "tasks/choices.yaml", "--num_fewshot", "1"];

/// The values of a results file's task.
fn scores(text: &str) -> Value {
    let results: Value = serde_json::from_str(text).unwrap();
    results["results"]["choices"].clone()
}

/// Number of results files below `out`.
fn scored(world: &World, out: &str) -> usize {
    world.find(out, "results_", ".json").len()
}

#[test]
fn each_model_scores_as_it_does_alone() {
    let world = World::new();
    for step in [9, 10] {
        write_model_of_seed(&world.path(&format!("run/step-{step}")), step);
    }
    let arguments = ["eval", "--output_path", "all", "--model", "model", "run"];
    let outcome = world.succeeds(&[&arguments[..], &TASKS].concat());
    let models: Vec<&str> = outcome
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .map(str::trim)
        .collect();
    let expected = ["Model", "model", "run/step-9", "run/step-10"];
    assert_eq!([&models[..1], &models[2..]].concat(), expected);

    let all: Value = serde_json::from_str(&world.read("all/models.json")).unwrap();
    for model in all.as_array().unwrap() {
        let name = model["model"].as_str().unwrap();
        let file = model["results"].as_str().unwrap();
        let alone = format!("alone/{name}");
        let arguments = ["eval", "--output_path", &alone, "--model", name];
        world.succeeds(&[&arguments[..], &TASKS].concat());
        let alone = std::fs::read_to_string(&world.find(&alone, "results_", ".json")[0]).unwrap();
        let alone = scores(&alone);
        assert_eq!(scores(&world.read(file)), alone, "{name}");
        for score in model["scores"].as_array().unwrap() {
            let key = format!("{},none", score["name"].as_str().unwrap());
            assert_eq!(score["value"], alone[key], "{name}");
        }
    }
}

#[test]
fn what_is_finished_is_not_scored_again() {
    let world = World::new();
    write_model_of_seed(&world.path("other"), 2);
    let run = |more: &[&str], models: &[&str]| {
        let arguments = ["eval", "--output_path", "out"];
        let outcome =
            world.succeeds(&[&arguments[..], &TASKS, more, &["--model"], models].concat());
        (outcome.stdout, scored(&world, "out"))
    };
    let (first, files) = run(&[], &["model", "other"]);
    assert_eq!(files, 2);
    assert_eq!(
        run(&[], &["model", "other"]),
        (first.clone(), 2),
        "the same again"
    );
    write_model_of_seed(&world.path("third"), 3);
    let (_, files) = run(&[], &["model", "third", "other"]);
    assert_eq!(files, 3, "only the new one");
    // Other weights, another request, other rows: all are other work.
    write_model_of_seed(&world.path("other"), 4);
    assert_eq!(run(&[], &["model", "other"]).1, 4);
    assert_eq!(run(&["--limit", "3"], &["model", "other"]).1, 6);
    let rows = world.read("tasks/rows.jsonl");
    world.write("tasks/rows.jsonl", &rows.replace("thing 5", "object 5"));
    assert_eq!(run(&[], &["model", "other"]).1, 8);
}

#[test]
fn what_means_nothing_for_several_models_is_refused() {
    let world = World::new();
    write_model_of_seed(&world.path("other"), 2);
    let refused = |models: &[&str], more: &[&str], parts: &[&str]| {
        let arguments = ["eval", "--model"];
        world.fails(2, &[&arguments[..], models, &TASKS, more].concat(), parts);
    };
    let both = ["model", "other"];
    refused(&["model", "model"], &[], &["model twice"]);
    refused(
        &both,
        &["--output_path", "out.json"],
        &["out.json", "folder"],
    );
    refused(&both, &["--peft", "other"], &["--peft", "one model"]);
    refused(&both, &["--show-config"], &["--show-config", "one model"]);
    refused(
        &both,
        &["--model-args", "dtype=auto"],
        &["--model-args", "hf"],
    );
    refused(
        &["model", "elsewhere"],
        &["--output_path", "out"],
        &["elsewhere"],
    );
    assert!(
        !world.path("out").exists() || scored(&world, "out") == 0,
        "nothing is scored before all are looked at"
    );
}

#[test]
fn a_model_that_cannot_be_scored_does_not_take_the_others_along() {
    let world = World::new();
    write_model_of_seed(&world.path("short"), 2);
    let config = world.read("short/config.json");
    world.write("short/config.json", &config.replace(":512", ":64"));
    let facts = world.read("tasks/facts.yaml");
    let writes = facts
        .replace("task: facts", "task: writes")
        .replace("loglikelihood", "generate_until");
    world.write("tasks/writes.yaml", &writes);
    let arguments = ["eval", "--tasks", "tasks/writes.yaml", "--limit", "1"];
    let further = ["--gen_kwargs", "max_gen_toks=100", "--output_path", "out"];
    let models = ["--model", "short", "model"];
    let outcome = world.harness(&[&arguments[..], &further, &models].concat());
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    let said = outcome.errors();
    assert!(
        said.len() == 1 && said[0].contains("100 tokens"),
        "{said:?}"
    );
    assert!(outcome.stdout.contains("|model"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("|short"), "{}", outcome.stdout);

    // What cannot be opened is found before anything is scored.
    world.write("short/model.safetensors", "no weights");
    let outcome = world.harness(&[&arguments[..], &["--model", "model", "short"]].concat());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
}
