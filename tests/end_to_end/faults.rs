//! Libraries that are none, are too old, or break the contract: what the user reads and what is kept.

use crate::world::{World, fixture};

fn arguments<'a>(library: &'a str, fault: &'a str) -> Vec<&'a str> {
    let common = [
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
        "--output-path",
        "out",
        "--steps",
        "3",
    ];
    let setting: &[&str] = match fault {
        "" => &[],
        fault => &["--set", fault],
    };
    [&common[..], &["--method", library], setting].concat()
}

fn check(library: &str, fault: &str, code: i32, parts: &[&str]) {
    let world = World::new();
    world.fails(code, &arguments(library, fault), parts);
    assert!(!world.path("out").exists(), "{fault}: there is no result");
    let leftovers = world.path("out.partial");
    assert!(
        !leftovers.exists() || leftovers.join("unlearn.jsonl").is_file(),
        "{fault}: only a log may be left"
    );
}

#[test]
fn no_plugin_at_all() {
    let world = World::new();
    world.write("libnotes.so", "these are notes");
    world.fails(
        2,
        &arguments("./libnotes.so", ""),
        &["libnotes.so", "cannot be loaded"],
    );
    world.fails(
        2,
        &arguments("./missing.so", ""),
        &["missing.so", "no such file"],
    );
}

#[test]
fn libraries_that_are_refused() {
    check(
        &fixture("wrong_version"),
        "",
        2,
        &["fixture_wrong_version", "plugin ABI", "rebuild"],
    );
    check(
        &fixture("no_symbol"),
        "",
        2,
        &["fixture_no_symbol", "harness_method_entry"],
    );
    check(
        &fixture("misbehaving"),
        "falt=x",
        2,
        &["misbehaving", "falt", "did you mean `fault`"],
    );
    check(
        &fixture("misbehaving"),
        "count=many",
        2,
        &["misbehaving", "count", "integer"],
    );
    check(
        &fixture("misbehaving"),
        "fault=refuse",
        2,
        &["misbehaving", "fault must not be refuse"],
    );
}

#[test]
fn methods_that_fail_in_a_step() {
    let library = fixture("misbehaving");
    check(
        &library,
        "fault=error",
        1,
        &["misbehaving", "told to fail", "step 1"],
    );
    check(&library, "fault=nan", 1, &["misbehaving", "NaN"]);
    check(&library, "fault=vector", 1, &["misbehaving", "scalar"]);
    check(&library, "fault=undeclared", 1, &["misbehaving", "retain"]);
}

#[test]
fn the_steps_before_a_failure_are_kept() {
    let world = World::new();
    let library = fixture("misbehaving");
    world.fails(
        1,
        &arguments(&library, "fault=stale"),
        &["misbehaving", "out.partial"],
    );
    assert_eq!(world.read("out.partial/unlearn.jsonl").lines().count(), 1);
}
