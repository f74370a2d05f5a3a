//! How `harness bench` runs an experiment: anchors that it makes itself, runs that are moved, killed and taken up again, several models
//! at once, trails.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{World, write_model_of_seed};

const ANCHORS: &str =
    "finetune: {base: base, epochs: 2, learning_rate: 1e-2, batch_size: 4, seed: 3}
forget: tasks/facts.yaml
retain: tasks/others.yaml
utility: [tasks/choices.yaml]
methods: [grad_ascent]
unlearn: {steps: 2, batch_size: 2, learning_rates: [1e-2]}
relearn: {max_steps: 0}
noise: false
";

/// When each model of a run was written.
fn written(world: &World, run: &str) -> Vec<(String, std::time::SystemTime)> {
    let mut all: Vec<_> = world
        .find(&format!("{run}/models"), "model", ".safetensors")
        .into_iter()
        .map(|file| {
            let name = file.parent().unwrap().file_name().unwrap();
            let time = std::fs::metadata(&file).unwrap().modified().unwrap();
            (name.to_str().unwrap().to_owned(), time)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn anchors_are_made_of_a_base_as_finetune_makes_them() {
    let world = World::new();
    write_model_of_seed(&world.path("base"), 5);
    world.write("e.yaml", ANCHORS);
    let plan = world.succeeds(&["bench", "e.yaml", "--dry-run"]).stdout;
    for part in [
        "oracle twin",
        "2 epochs of tasks/others.yaml",
        "made and measured first, then oracles and methods side by side.\n",
        " GiB each, ",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    let finetune = [
        "finetune",
        "--model",
        "base",
        "--epochs",
        "2",
        "--lr",
        "1e-2",
        "--batch-size",
        "4",
    ];
    let cases: [(&str, &[&str], &str); 3] = [
        ("original", &["tasks/facts.yaml", "tasks/others.yaml"], "3"),
        ("oracle", &["tasks/others.yaml"], "3"),
        ("oracle-twin", &["tasks/others.yaml"], "4"),
    ];
    for (name, tasks, seed) in cases {
        let rest = ["--seed", seed, "--output-path", name, "--task"];
        world.succeeds(&[&finetune[..], &rest, tasks].concat());
        let weights = |folder: &str| {
            std::fs::read(world.path(&format!("{folder}/{name}/model.safetensors"))).unwrap()
        };
        assert!(weights("run/models") == weights("."), "{name}");
    }
    let card = card(&world, "run");
    let rows = ["original", "oracle", "oracle twin", "grad_ascent"];
    assert_eq!(names(&card), rows);
    let shares = [0, 1, 2, 3].map(|row| card["rows"][row]["cost_share"].as_f64().unwrap());
    assert!((shares[1] - 1.0).abs() < 1e-12, "{shares:?}");
    assert!(
        shares[0] > 1.5 && shares[3] > 0.0 && shares[3] < 1.0,
        "{shares:?}"
    );
}

#[test]
fn a_run_goes_on_elsewhere_and_what_is_given_is_not_made() {
    let world = World::new();
    write_model_of_seed(&world.path("base"), 5);
    world.write("e.yaml", ANCHORS);
    world.succeeds(&["bench", "e.yaml", "--output-path", "run"]);
    let (card, made) = (world.read("run/scorecard.json"), written(&world, "run"));
    // Nothing but places is different.
    for (from, to) in [
        ("run", "moved"),
        ("base", "other/base"),
        ("tasks", "other/tasks"),
    ] {
        std::fs::create_dir_all(world.path("other")).unwrap();
        std::fs::rename(world.path(from), world.path(to)).unwrap();
    }
    world.write("other/e.yaml", ANCHORS);
    let other = ["bench", "other/e.yaml", "--output-path", "moved"];
    let there = |names: &str| names.replace("tasks/", "other/tasks/");
    world.write("other/e.yaml", &there(ANCHORS));
    world.succeeds(&other);
    assert_eq!(written(&world, "moved"), made);
    let plain = |card: &str| card.replace("other/", "");
    assert_eq!(plain(&world.read("moved/scorecard.json")), card);

    std::fs::rename(world.path("moved/models/original"), world.path("original")).unwrap();
    world.write(
        "e.yaml",
        &format!(
            "model: original\n{}",
            there(ANCHORS).replace("base: base", "base: other/base, twin: false")
        ),
    );
    world.succeeds(&["bench", "e.yaml", "--output-path", "given"]);
    let names: Vec<String> = written(&world, "given")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["grad_ascent-seed0", "oracle"]);
    let same = |a: &str, b: &str| {
        std::fs::read(world.path(a)).unwrap() == std::fs::read(world.path(b)).unwrap()
    };
    assert!(same(
        "given/models/grad_ascent-seed0/model.safetensors",
        "moved/models/grad_ascent-seed0/model.safetensors"
    ));
}

fn card(world: &World, run: &str) -> Value {
    serde_json::from_str(&world.read(&format!("{run}/scorecard.json"))).unwrap()
}

fn names(card: &Value) -> Vec<&str> {
    let rows = card["rows"].as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap()).collect()
}

/// The record without times and memory, which differ from run to run.
fn record(world: &World, run: &str) -> Value {
    let text = world.read(&format!("{run}/experiment.json"));
    let mut record: Value = serde_json::from_str(&text).unwrap();
    without_the_clock(&mut record);
    record
}

/// What differs from run to run.
fn without_the_clock(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| key != "machine_cost" && key != "seconds");
            map.values_mut().for_each(without_the_clock);
        }
        Value::Array(items) => items.iter_mut().for_each(without_the_clock),
        _ => {}
    }
}

/// Starts a run, kills it with SIGKILL when `is_time`, and says whether it was killed before its end.
fn killed(world: &World, arguments: &[&str], mut is_time: impl FnMut() -> bool) -> bool {
    let mut command = world.command(env!("CARGO_BIN_EXE_harness"), arguments);
    let mut child = (command.stdout(Stdio::null()).stderr(Stdio::null()))
        .spawn()
        .unwrap();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return false;
        }
        if is_time() {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

const SEVERAL: &str = "finetune: {base: base, epochs: 2, learning_rate: 1e-2, batch_size: 4}
forget: tasks/facts.yaml
retain: tasks/others.yaml
utility: [tasks/choices.yaml]
methods: [grad_ascent, no_op, {method: npo, steps: 6}]
seeds: [0, 1]
unlearn: {steps: 4, batch_size: 2, learning_rates: [1e-2], checkpoints: 1}
relearn: {learning_rates: [1e-2, 2e-2], max_steps: 4, batch_size: 4}
";

#[test]
fn neither_jobs_nor_kills_change_a_byte_and_no_stage_is_finished_twice() {
    let world = World::new();
    write_model_of_seed(&world.path("base"), 5);
    world.write("e.yaml", SEVERAL);
    let start = Instant::now();
    let alone = ["bench", "e.yaml", "--output-path", "whole", "--jobs", "1"];
    world.succeeds(&alone);
    let whole = start.elapsed();
    let run = ["bench", "e.yaml", "--output-path", "run", "--jobs", "2"];
    let mut kills = 0;
    for share in [2, 3, 5] {
        let start = Instant::now();
        kills += usize::from(killed(&world, &run, || start.elapsed() > whole / share));
    }
    assert!(kills > 0, "a run took less than a fifth of its time");
    world.succeeds(&run);
    assert_eq!(
        world.read("run/scorecard.json"),
        world.read("whole/scorecard.json")
    );
    assert_eq!(record(&world, "run"), record(&world, "whole"));

    let log = |run: &str| world.read(&format!("{run}/stages.log"));
    let stages = |log: &str| -> BTreeSet<String> { log.lines().map(str::to_owned).collect() };
    for run in ["run", "whole"] {
        assert_eq!(
            log(run).lines().count(),
            stages(&log(run)).len(),
            "{}",
            log(run)
        );
    }
    assert!(
        stages(&log("whole"))
            .iter()
            .any(|stage| stage.starts_with("trail-npo-seed1 "))
    );
    // A kill between a record and its line leaves the line out.
    assert!(stages(&log("run")).is_subset(&stages(&log("whole"))));
    assert!(stages(&log("run")).len() + 3 >= stages(&log("whole")).len());
    world.succeeds(&run);
    assert_eq!(log("run").lines().count(), stages(&log("run")).len());
}

#[test]
fn a_method_that_was_killed_goes_on_after_its_last_saved_step() {
    let world = World::new();
    let experiment = "model: model
forget: tasks/facts.yaml
utility: []
methods: [grad_ascent]
unlearn: {steps: 300, batch_size: 2, learning_rates: [1e-5], checkpoints: 60}
relearn: {max_steps: 0}
rounding: []
noise: false
";
    world.write("e.yaml", experiment);
    world.succeeds(&["bench", "e.yaml", "--output-path", "whole"]);
    let run = ["bench", "e.yaml", "--output-path", "run"];
    let log = world.path("run/models/grad_ascent-seed0.partial/unlearn.jsonl");
    let steps = || std::fs::read_to_string(&log).map_or(0, |log| log.lines().count());
    assert!(killed(&world, &run, || steps() > 20));
    let said = world.succeeds(&run).stderr;
    assert!(said.contains("goes on after step"), "{said}");
    let file = |run: &str, name: &str| {
        std::fs::read(world.path(&format!("{run}/models/grad_ascent-seed0/{name}"))).unwrap()
    };
    assert!(file("run", "model.safetensors") == file("whole", "model.safetensors"));
    let log = String::from_utf8(file("run", "unlearn.jsonl")).unwrap();
    let steps: Vec<u64> = log
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["step"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(steps, (1..=300).collect::<Vec<u64>>());
    assert_eq!(
        world.read("run/scorecard.json"),
        world.read("whole/scorecard.json")
    );
}

#[test]
fn a_trail_is_what_the_checkpoints_are_as_models() {
    let world = World::new();
    write_model_of_seed(&world.path("oracle"), 2);
    let experiment = "model: model
oracle: oracle
forget: tasks/facts.yaml
utility: [tasks/choices.yaml]
methods: [grad_ascent]
seeds: [0, 1]
unlearn: {steps: 6, batch_size: 2, learning_rates: [1e-2]}
relearn: {max_steps: 0}
noise: false
";
    world.write("e.yaml", experiment);
    let run = ["bench", "e.yaml", "--output-path", "run"];
    world.succeeds(&run);
    let weights =
        || std::fs::read(world.path("run/models/grad_ascent-seed1/model.safetensors")).unwrap();
    let before = (weights(), card(&world, "run"));
    // Asked for later, without and with the weights.
    let with = |more: &str| experiment.replace("steps: 6", &format!("steps: 6, {more}"));
    world.write("e.yaml", &with("checkpoints: 2"));
    world.succeeds(&run);
    assert!(
        !world
            .path("run/models/grad_ascent-seed1/checkpoints")
            .exists()
    );
    world.write("e.yaml", &with("checkpoints: 5, keep_checkpoints: true"));
    world.succeeds(&run);
    assert!(weights() == before.0);
    // Neither model knows anything, so that there is no scale for F, and the card has no trail.
    assert_eq!(card(&world, "run"), before.1);

    // The checkpoint as a method's result that somebody else made: the same place between the anchors.
    let at = "run/models/grad_ascent-seed1/checkpoints/step-4";
    let as_original = experiment.replace("model: model", &format!("model: {at}"));
    world.write("f.yaml", &as_original);
    world.succeeds(&["bench", "f.yaml", "--output-path", "checkpoint"]);
    let original = &record(&world, "checkpoint")["subjects"][0]["outcome"]["measured"];
    let record = record(&world, "run");
    let own = record["subjects"].as_array().unwrap().iter();
    let seed1 = own
        .filter(|one| one["row"] == "grad_ascent")
        .nth(1)
        .unwrap();
    let trail = seed1["trail"].as_array().unwrap().iter();
    let steps: Vec<u64> = trail.map(|point| point["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5]);
    let point = &seed1["trail"][3];
    assert_eq!(point["step"], 4);
    assert_eq!(point["forget"], original["forget"]);
    assert_eq!(point["utility"], original["utility"]);
}

#[test]
fn a_plan_says_what_each_model_takes_and_what_cannot_be_made() {
    let world = World::new();
    let experiment = "model: model
forget: tasks/facts.yaml
retain: tasks/others.yaml
utility: []
methods: [grad_ascent, npo, {method: npo, name: npo gentle, learning_rates: [1e-6]}]
unlearn: {batch_size: 2}
";
    let plan = |experiment: &str, jobs: &str| {
        world.write("e.yaml", experiment);
        world
            .succeeds(&["bench", "e.yaml", "--dry-run", "--jobs", jobs])
            .stdout
    };
    let text = plan(experiment, "7");
    let memory = |row: &str| {
        let line = text.lines().find(|line| line.starts_with(row)).unwrap();
        line.split_once(" GiB")
            .map(|(before, _)| before.split_whitespace().last().unwrap().to_owned())
    };
    assert_eq!(memory("original "), None, "{text}");
    assert!(memory("grad_ascent ").is_some() && memory("noise ").is_some());
    assert_eq!(memory("npo "), memory("npo gentle "));
    assert!(text.contains("then noise, whose size depends on the methods; attacks"));
    assert!(text.contains("\n7 at a time: "), "{text}");

    let greedy = plan(
        &experiment.replace("batch_size: 2", "batch_size: 500"),
        "auto",
    );
    assert!(greedy.contains("grad_ascent will fail: "), "{greedy}");
    let parts = ["--jobs", "auto, or a positive number"];
    world.fails(2, &["bench", "e.yaml", "--jobs", "0"], &parts);
}

#[test]
fn utility_is_the_leaderboard_where_nothing_is_said() {
    let world = World::new();
    let experiment = "model: model\nforget: tasks/facts.yaml\nmethods: [grad_ascent]\n";
    world.write("e.yaml", experiment);
    let parts = ["openllm", "`utility: []`"];
    world.fails(2, &["bench", "e.yaml", "--dry-run"], &parts);
    world.write("e.yaml", &format!("{experiment}utility: []\n"));
    world.succeeds(&["bench", "e.yaml", "--dry-run"]);
}
