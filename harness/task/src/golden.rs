//! Recordings of Python's behaviour for unit tests; read from outside the tree, and said aloud where they are not there.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud"
)]

use serde_json::Value;

/// A JSON file of the golden folder.
pub(crate) fn recorded(file: &str) -> Option<Value> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden");
    let folder = std::env::var_os("HARNESS_GOLDEN").unwrap_or_else(|| default.into());
    let path = std::path::Path::new(&folder).join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no {} (set HARNESS_GOLDEN)", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}
