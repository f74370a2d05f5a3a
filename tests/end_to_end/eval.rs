//! `harness eval`: the table, the files, and that nothing depends on how often or in what company a task is run.

use serde_json::Value;

use crate::world::World;

fn json(path: &std::path::Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn table_results_and_samples() {
    let world = World::new();
    let arguments = [
        "eval",
        "--model",
        "model",
        "--tasks",
        "tasks/choices.yaml",
        "--num_fewshot",
        "2",
    ];
    let outcome =
        world.succeeds(&[&arguments[..], &["--output_path", "out", "--log_samples"]].concat());
    assert!(
        outcome
            .stdout
            .contains("| Tasks |Version|Filter|n-shot| Metric |   |Value |   |Stderr|"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome
            .stdout
            .contains("|choices|    2.5|none  |     2|acc     |↑  |"),
        "{}",
        outcome.stdout
    );
    assert_eq!(outcome.stderr, "", "quiet when piped");

    let results = json(&world.find("out", "results_", ".json")[0]);
    let scores = &results["results"]["choices"];
    let samples =
        std::fs::read_to_string(&world.find("out", "samples_choices_", ".jsonl")[0]).unwrap();
    let samples: Vec<Value> = samples
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(samples.len(), 12);
    let mean = samples
        .iter()
        .map(|sample| sample["acc"].as_f64().unwrap())
        .sum::<f64>()
        / 12.0;
    assert!((scores["acc,none"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert_eq!(results["n-samples"]["choices"]["effective"], 12);
    assert_eq!(results["versions"]["choices"], 2.5);
    let context = samples[3]["arguments"]["gen_args_0"]["arg_0"]
        .as_str()
        .unwrap();
    assert!(
        context.ends_with("\n\nQ: What is the colour of thing 3?\nA:"),
        "{context}"
    );
    assert_eq!(context.matches("Q: ").count(), 3);
}

#[test]
fn the_same_request_gives_the_same_samples() {
    let world = World::new();
    let run = |out: &str, tasks: &str| {
        world.succeeds(&[
            "eval",
            "--model",
            "model",
            "--tasks",
            tasks,
            "--output-path",
            out,
            "--log-samples",
        ]);
        std::fs::read_to_string(&world.find(out, "samples_choices_", ".jsonl")[0]).unwrap()
    };
    let alone = run("a", "tasks/choices.yaml");
    assert_eq!(alone, run("b", "tasks/choices.yaml"));
    assert_eq!(alone, run("c", "tasks/facts.yaml,tasks/choices.yaml"));
}

#[test]
fn lm_evals_way_of_naming_a_model() {
    let world = World::new();
    let ours = world.succeeds(&[
        "eval",
        "--model",
        "model",
        "--tasks",
        "tasks/choices.yaml",
        "--limit",
        "0.5",
    ]);
    let arguments = [
        "eval",
        "--model",
        "hf",
        "--model_args",
        "pretrained=model,dtype=float32",
        "--limit",
        "6",
    ];
    let theirs = world.succeeds(&[&arguments[..], &["--tasks", "tasks/choices.yaml"]].concat());
    let table = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(table(&ours.stdout), table(&theirs.stdout));
}

#[test]
fn a_folder_of_ones_own_tasks() {
    let world = World::new();
    let outcome = world.succeeds(&[
        "eval",
        "--model",
        "model",
        "--include_path",
        "tasks",
        "--tasks",
        "choi*",
        "facts",
    ]);
    assert!(
        outcome.stdout.contains("|choices|") && outcome.stdout.contains("|facts"),
        "{}",
        outcome.stdout
    );
}
