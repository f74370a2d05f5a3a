//! `include` and merge keys: who wins, for every way in which files and maps can share keys.
#![allow(
    clippy::unwrap_used,
    reason = "a test: panics are failures, skips are said aloud"
)]

use std::fmt::Write;
use std::path::Path;

use harness_task::yaml::{Loader, Node, NodeValue, parse};
use serde_json::{Value, json};

/// The keys of a file, in the order in which files are merged: what comes later wins.
const ORDER: [&str; 4] = ["_nested", "_first", "_second", "own.yaml"];

/// What each file includes.
const INCLUDES: [&str; 4] = ["", "include: _nested\n", "", "include: [_first, _second]\n"];

#[test]
fn later_includes_win_and_the_files_own_keys_win_over_all() {
    let folder = tempfile::tempdir().unwrap();
    // A bit for each file and key: whether the file sets it.
    for sets in 0..256_u32 {
        let has = |file: usize, key: usize| sets & (1 << (file * 2 + key)) != 0;
        for (file, name) in ORDER.iter().enumerate() {
            let mut text = INCLUDES[file].to_owned();
            for key in (0..2).filter(|&key| has(file, key)) {
                writeln!(text, "k{key}: {{from: {name}, only_{file}: 1}}").unwrap();
            }
            // A template may hold nothing but its includes, but it must be a map.
            text += "last: true\n";
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let loaded = Loader::default()
            .load(&folder.path().join("own.yaml"))
            .unwrap();
        for key in 0..2 {
            let winner = (0..4).rev().find(|&file| has(file, key));
            // Maps are replaced whole, never merged.
            let expected =
                winner.map(|file| json!({"from": ORDER[file], format!("only_{file}"): 1}));
            let found = loaded.mapping.get(&format!("k{key}"));
            assert_eq!(found.map(Node::to_json), expected, "{sets:b}");
        }
        let included: Vec<&str> = loaded
            .included
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(included, ["_nested", "_first", "_second"]);
    }
}

fn value(text: &str) -> Result<Value, String> {
    parse(text, Path::new("t.yaml"))
        .map(|node| node.to_json())
        .map_err(|error| error.to_string())
}

/// Expected values: `yaml.load(text, yaml.CSafeLoader)` of `PyYAML` 6.0.3.
#[test]
fn merge_keys_as_in_pyyaml() {
    for (text, expected) in [
        (
            "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}",
            json!({"x": 1, "y": 3}),
        ),
        (
            "a: &a {x: 1}\nc: &c {x: 2, z: 4}\nb: {<<: [*a, *c]}",
            json!({"x": 1, "z": 4}),
        ),
        (
            "a: &a {x: 1}\nc: &c {x: 2}\nb:\n  <<: *a\n  <<: *c",
            json!({"x": 2}),
        ),
        ("b: {y: 3, <<: {x: 1}}", json!({"x": 1, "y": 3})),
        ("b: {'<<': {x: 1}}", json!({"<<": {"x": 1}})),
        ("b: [<<]", json!(["<<"])),
        ("b: {x: <<}", json!({"x": "<<"})),
    ] {
        assert_eq!(value(text).unwrap()["b"], expected, "{text}");
    }
    assert_eq!(
        value("b: {<<: 3}").unwrap_err(),
        "t.yaml:1:9: `<<` takes a map or a list of maps, not a number"
    );
}

#[test]
fn keys_are_single_values_written_as_json_writes_them() {
    assert_eq!(
        value("{1: a, 1.5: b, ~: c, yes: d, x: e, '2': f}").unwrap(),
        json!({"1": "a", "1.5": "b", "null": "c", "true": "d", "x": "e", "2": "f"})
    );
    assert_eq!(
        value("? [a]\n: 1").unwrap_err(),
        "t.yaml:1:3: a list as a key; a key is a single value"
    );
    assert_eq!(
        value("a: {x: 1}\na: {x: 1}").unwrap(),
        json!({"a": {"x": 1}})
    );
    assert_eq!(
        value("a: 1\nb: 2\na: 3").unwrap_err(),
        "t.yaml:3:1: duplicate key `a`; it is already set on line 1"
    );
}

#[test]
fn tags_and_broken_files_have_a_place() {
    let node = parse("a: !function utils.f\nb: ! 3", Path::new("t.yaml")).unwrap();
    let NodeValue::Mapping(mapping) = &node.value else {
        panic!("{node:?}")
    };
    assert_eq!(mapping.get("a").unwrap().tag.as_deref(), Some("!function"));
    assert_eq!(mapping.get("b").unwrap().to_json(), json!(3));
    for (text, message) in [
        ("a: !!int x", "t.yaml:1:4: `x` is no int"),
        (
            "a: !!set {x}",
            "t.yaml:1:4: `!!set` is not a type that a task key takes",
        ),
        ("a: *b", "t.yaml:1:4: `*b` has no anchor `&b` before it"),
        (
            "a: &a [*a]",
            "t.yaml:1:8: `*a` has no anchor `&a` before it",
        ),
    ] {
        assert_eq!(value(text).unwrap_err(), message);
    }
    let error = value("a: [1, 2\nb: 3").unwrap_err();
    assert!(
        error.starts_with("t.yaml:2:2: while parsing a flow sequence"),
        "{error}"
    );
    assert!(value("a: \"\u{7}\"").is_err());
}
