//! `harness methods`: a new method in an empty folder outside the repository, built and run as the text that it comes with says; what is shown of
//! a method; and what a check says of good and broken libraries.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::world::{World, fixture};

/// Runs a program in a folder; whether it succeeded, and what it said.
fn runs(folder: &Path, program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env_remove("CARGO_TARGET_DIR")
        .output();
    match output {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&said).into_owned(),
            )
        }
        Err(error) => (false, error.to_string()),
    }
}

/// Checks the library in `folder` and unlearns with it.
fn is_fit(world: &World, id: &str, folder: &str, more: &[&str]) {
    let check = ["methods", "check", "--method-path", folder, id];
    let checked = world.succeeds(&check).stdout;
    assert!(!checked.contains("FAILED"), "{checked}");
    let unlearn = [
        "unlearn",
        "--model",
        "model",
        "--method-path",
        folder,
        "--method",
        id,
        "--forget",
        "tasks/facts.yaml",
        "--steps",
        "2",
        "--batch-size",
        "2",
        "--output-path",
        id,
    ];
    world.succeeds(&[&unlearn[..], more].concat());
    assert_eq!(
        world.read(&format!("{id}/unlearn.jsonl")).lines().count(),
        2
    );
}

#[test]
fn a_new_crate_passes_its_test_and_runs() {
    let world = World::new();
    world.succeeds(&["methods", "new", "my_own", "--dir", "new"]);
    let folder = world.path("new/my_own");
    // What the workspace was built of is there without a network.
    for action in ["test", "build"] {
        let (built, said) = runs(&folder, env!("CARGO"), &[action, "--release", "--offline"]);
        assert!(built, "cargo {action}: {said}");
        assert!(action == "build" || said.contains("3 passed"), "{said}");
    }
    let retain = ["--retain", "tasks/others.yaml", "--set", "limit=3"];
    is_fit(&world, "my_own", "new/my_own/target/release", &retain);
    let again = ["methods", "new", "my_own", "--dir", "new"];
    world.fails(2, &again, &["new/my_own is there already"]);
}

#[test]
fn a_new_method_in_c_compiles_and_runs() {
    let world = World::new();
    world.succeeds(&["methods", "new", "in_c", "--language", "c"]);
    let (built, said) = runs(&world.path("in_c"), "make", &[]);
    if !built && said.contains("No such file") {
        eprintln!("SKIPPED: no make or C compiler: {said}");
        return;
    }
    assert!(built, "{said}");
    std::fs::rename(world.path("in_c"), world.path("source")).unwrap();
    is_fit(&world, "in_c", "source/build", &[]);
}

#[test]
fn names_that_no_method_can_have_are_refused() {
    let world = World::new();
    let fails = |more: &[&str], parts: &[&str]| {
        world.fails(2, &[&["methods", "new"], more].concat(), parts);
    };
    fails(&["My-Method"], &["`My-Method` is no method name", "a-z"]);
    fails(&["npo"], &["there is a method `npo` already"]);
    fails(
        &["mine", "--sdk", "tasks"],
        &["--sdk tasks: no crate `harness-sdk`"],
    );
    assert!(!world.path("mine").exists());
}

#[test]
fn a_method_is_shown_with_its_options_and_its_library() {
    let world = World::new();
    let shown = world.succeeds(&["methods", "show", "npo"]).stdout;
    for part in [
        "npo 0.1.0",
        "a retain set, the original",
        "SHA-256",
        "nll or kl",
        "0.1",
    ] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let shown = world.succeeds(&["methods", "show", "npo", "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let schema = &shown["options_schema"];
    assert_eq!(schema["properties"]["retain_loss"]["enum"][1], "kl");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(shown["sha256"].as_str().map(str::len), Some(64));
    world.fails(2, &["methods", "show", "npoo"], &["did you mean `npo`?"]);
    let shown = world.succeeds(&["methods", "show", "noise"]).stdout;
    assert!(shown.contains("trainer (the method owns"), "{shown}");
}

#[test]
fn a_check_says_what_a_broken_library_failed() {
    let world = World::new();
    let failed = |library: &str, settings: &[&str], question: &str, why: &str| {
        let set: Vec<&str> = settings.iter().flat_map(|set| ["--set", set]).collect();
        let arguments = [&["methods", "check", library], &set[..]].concat();
        let outcome = world.harness(&arguments);
        assert_eq!(outcome.code, 1, "{arguments:?}: {}", outcome.stderr);
        let line = outcome.stdout.lines().find(|line| line.contains(question));
        let line = line.unwrap_or_else(|| panic!("no {question} in {}", outcome.stdout));
        assert!(line.contains("FAILED") && line.contains(why), "{line}");
        assert!(outcome.stderr.contains("failed"), "{}", outcome.stderr);
    };
    let misbehaving = fixture("misbehaving");
    failed(&fixture("no_symbol"), &[], "loads", "harness_method_entry");
    failed(&fixture("wrong_version"), &[], "loads", "ABI 8.");
    failed(&misbehaving, &["fault=nan"], "finite loss", "NaN");
    failed(&misbehaving, &["fault=stale"], "same bits", "stale handle");
    if cfg!(unix) {
        failed(
            &fixture("fatal"),
            &["fault=abort", "step=1"],
            "finite loss",
            "ended the process",
        );
    }
}
