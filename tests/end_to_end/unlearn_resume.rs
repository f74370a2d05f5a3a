//! Unlearning runs that are killed: the same command goes on, to the bytes of a run that was not.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::World;

/// Enough steps to be killed among.
const STEPS: usize = 240;

fn arguments<'a>(method: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    arguments.extend(["--retain", "tasks/others.yaml", "--lr", "1e-3"]);
    arguments.extend(["--steps", "240", "--save-every", "7", "--batch-size", "2"]);
    arguments.extend(["--method", method, "--output-path", output]);
    arguments.extend(more);
    arguments
}

fn logged(world: &World, output: &str) -> usize {
    let log = world.path(output).join("unlearn.jsonl");
    std::fs::read_to_string(log).map_or(0, |text| text.lines().count())
}

/// Starts a run and kills it, or its child, when its log has `lines` lines. Whether it was still at work.
fn kill_at(world: &World, arguments: &[&str], lines: usize, whom: &str) -> bool {
    let mut parent = world
        .command(env!("CARGO_BIN_EXE_harness"), arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while logged(world, "out.partial") < lines {
        assert!(start.elapsed() < Duration::from_mins(2), "{lines} lines");
        if parent.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = parent.id();
    let victim = if whom == "child" {
        let tasks = std::fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let children: String = tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
            .collect();
        children.trim().to_owned()
    } else {
        id.to_string()
    };
    let kill = std::process::Command::new("kill")
        .args(["-9", &victim])
        .stderr(Stdio::null())
        .status();
    parent.wait().unwrap();
    kill.unwrap().success()
}

fn same_bytes(world: &World, files: &[&str]) {
    for file in files {
        let bytes = |output: &str| std::fs::read(world.path(output).join(file)).unwrap();
        assert!(bytes("whole") == bytes("out"), "{file}");
    }
}

/// What the loop keeps: moments, orders, the original's answers, random answers, masks of dropout, accumulated batches.
fn killed_and_resumed(method: &str, more: &[&str], files: &[&str]) -> String {
    let world = World::new();
    world.succeeds(&arguments(method, "whole", more));
    let again = arguments(method, "out", more);
    let mut interrupted = 0;
    for (lines, whom) in [
        (1, "parent"),
        (40, "child"),
        (41, "parent"),
        (130, "parent"),
    ] {
        interrupted += usize::from(kill_at(&world, &again, lines, whom));
    }
    assert!(
        interrupted >= 2,
        "the runs were too quick to be interrupted"
    );
    let said = if world.path("out").exists() {
        String::new()
    } else {
        world.succeeds(&again).stderr
    };
    assert_eq!(logged(&world, "out"), STEPS);
    same_bytes(&world, files);
    same_bytes(&world, &["checkpoints/step-7/model.safetensors"]);
    same_bytes(&world, &["checkpoints/step-238/model.safetensors"]);
    assert!(!world.path("out/state").exists());
    assert!(!world.path("out.partial").exists());
    said
}

#[test]
fn a_method_with_a_memory_of_its_own_begins_anew() {
    let more = [
        "--set",
        "retain_loss_eps=1.0",
        "--set",
        "dual_warmup_epochs=0",
    ];
    let said = killed_and_resumed("pdu", &more, &["model.safetensors"]);
    assert!(!said.contains("goes on after step"), "{said}");
}

#[test]
fn full_weights_with_a_reference() {
    let said = killed_and_resumed("npo", &[], &["model.safetensors"]);
    assert!(
        said.is_empty() || said.contains("goes on after step"),
        "{said}"
    );
}

#[test]
fn random_answers_and_accumulated_batches() {
    let more = ["--gradient-accumulation", "2"];
    killed_and_resumed("llmu", &more, &["model.safetensors"]);
}

#[test]
fn an_adapter_with_dropout() {
    let more = ["--lora-rank", "2", "--lora-dropout", "0.2"];
    let files = ["model.safetensors", "adapter/adapter_model.safetensors"];
    killed_and_resumed("grad_diff", &more, &files);
}

#[test]
fn another_request_does_not_go_on() {
    let world = World::new();
    let command = arguments("npo", "out", &[]);
    assert!(kill_at(&world, &command, 8, "parent"));
    let other = arguments("npo", "out", &["--seed", "5"]);
    world.fails(2, &other, &["out.partial", "is there already"]);
    let log = std::fs::File::open(world.path("out.partial/unlearn.jsonl")).unwrap();
    log.lock().unwrap();
    world.fails(2, &command, &["out.partial", "another run is writing it"]);
    drop(log);
    assert!(world.path("out.partial/state").exists());
    world.succeeds(&command);
}
