//! The house's own rules, checked on its files: who may use whom, how long a file may be, where `unsafe` may stand.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests may panic and print"
)]

use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 400;

/// Crates from the ground up; each may use only those before it.
const STOREYS: [&str; 16] = [
    "harness-spelling",
    "harness-metric",
    "harness-data",
    "harness-task",
    "harness-python",
    "harness-hub",
    "harness-model",
    "harness-engine",
    "harness-abi",
    "harness-sdk",
    "harness-host",
    "harness-bench",
    "harness-conformance",
    "harness-report",
    "harness-cli",
    "harness-method-",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Files below the top-level folders with this extension.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = ["harness", "plugins", "methods", "tests"]
        .map(|folder| root().join(folder))
        .into();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn storey(package: &str) -> usize {
    let found = STOREYS.iter().position(|name| package.starts_with(name));
    found.unwrap_or_else(|| panic!("{package} has no place in the house"))
}

#[test]
fn arrows_point_down() {
    for manifest in files("toml")
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml"))
    {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let package = text
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .unwrap();
        let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for used in dependencies
            .lines()
            .filter_map(|line| line.split(['.', ' ']).next())
            .filter(|name| name.starts_with("harness-"))
        {
            assert!(storey(used) < storey(package), "{package} uses {used}");
            let is_method = package.starts_with("harness-method-");
            assert!(
                !is_method || used == "harness-sdk",
                "{package} uses {used}: methods know the SDK only"
            );
            assert!(
                package != "harness-sdk" || used == "harness-abi",
                "{package} uses {used}: the SDK knows the ABI only"
            );
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    for file in files("rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines", file.display());
        assert!(
            text.starts_with("//! "),
            "{}: no opening sentence",
            file.display()
        );
    }
}

#[test]
fn unsafe_stands_where_it_may() {
    let marker = ["unsafe", "_code, reason"].concat();
    for file in files("rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let relative = file.strip_prefix(root()).unwrap().to_owned();
        let allowed = relative.starts_with("plugins")
            || relative == Path::new("harness/model/src/weights.rs");
        assert!(
            allowed || !text.contains(&marker),
            "{}: unsafe code",
            relative.display()
        );
    }
}
