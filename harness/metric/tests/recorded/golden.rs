//! Reads the recordings, and compares numbers with them.

use std::path::PathBuf;

use harness_metric::MetricError;
use serde_json::Value;

/// A recording, or `None` where the folder is absent.
pub(crate) fn recorded(path: &str) -> Option<Value> {
    let folder = std::env::var_os("HARNESS_GOLDEN").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/golden"
            ))
        },
        PathBuf::from,
    );
    let path = folder.join(path);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no {} (set HARNESS_GOLDEN)", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// Runs `check` on each case of a section of a recording.
pub(crate) fn for_each_case(path: &str, section: &str, mut check: impl FnMut(&Value)) {
    let Some(recorded) = recorded(path) else {
        return;
    };
    let cases = recorded[section].as_array().unwrap();
    assert!(!cases.is_empty(), "no case in {section}");
    cases.iter().for_each(&mut check);
}

pub(crate) fn text<'v>(case: &'v Value, key: &str) -> &'v str {
    case[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {case}"))
}

/// A number; the recordings write the ones that are not finite as text.
pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        number => number
            .as_f64()
            .unwrap_or_else(|| panic!("{number} is no number")),
    }
}

pub(crate) fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    let items = value.as_array();
    items
        .unwrap_or_else(|| panic!("{value} is no list"))
        .iter()
        .map(read)
        .collect()
}

/// Pairs, each a list of two.
pub(crate) fn pairs<A, B>(
    value: &Value,
    left: impl Fn(&Value) -> A,
    right: impl Fn(&Value) -> B,
) -> Vec<(A, B)> {
    list(value, |pair| (left(&pair[0]), right(&pair[1])))
}

/// Within 1e-9 of the reference, relatively.
pub(crate) fn assert_close(value: f64, expected: f64, case: &Value) {
    let tolerance = 1e-9 * expected.abs().max(1e-6);
    assert!(
        (value - expected).abs() <= tolerance,
        "{value} for {expected} in {case}"
    );
}

/// The reference's number; and an error where the reference raised one or gave NaN.
pub(crate) fn assert_agrees(value: Result<f64, MetricError>, expected: &Value, case: &Value) {
    if expected.is_object() || number(expected).is_nan() {
        assert!(value.is_err(), "{value:?} for {expected} in {case}");
    } else {
        assert_close(value.unwrap(), number(expected), case);
    }
}
