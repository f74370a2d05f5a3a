//! What stands in for `datasets`, against the package itself. Skips where `HARNESS_PYTHON` (or `python3`) does not have it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud"
)]

use std::process::{Command, Output};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

fn run(arguments: &[&str]) -> Option<Output> {
    let python = std::env::var_os("HARNESS_PYTHON").unwrap_or_else(|| "python3".into());
    Command::new(python).arg("-B").args(arguments).output().ok()
}

fn lines(arguments: &[&str]) -> Vec<String> {
    let output = run(arguments).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn data_sets_do_what_those_of_the_package_do() {
    if !run(&["-c", "import datasets"]).is_some_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no Python with the package datasets (set HARNESS_PYTHON)");
        return;
    }
    let script = format!("{FOLDER}/tests/python/like_datasets.py");
    let expected = lines(&[&script]);
    let found = lines(&[&script, &format!("{FOLDER}/src/stand_ins")]);
    assert_eq!(expected.len(), found.len());
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected, found);
    }
}
