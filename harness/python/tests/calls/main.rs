//! What functions are given and may give, and what is said of those that misbehave. Needs a Python 3, and skips without one.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud"
)]

mod answers;
mod failures;
mod limits;

use std::fs;
use std::process::{Command, Stdio};

use harness_python::{PythonHooks, PythonSettings};
use harness_task::yaml::Position;
use harness_task::{Hooks, PythonFunction};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// A task's folder with `functions.py` in it, and a Python that calls what is in there.
struct Folder {
    folder: TempDir,
    hooks: PythonHooks,
}

impl Folder {
    fn new(python: &str) -> Option<Self> {
        Self::with(python, |settings| settings)
    }

    fn with(python: &str, change: impl FnOnce(PythonSettings) -> PythonSettings) -> Option<Self> {
        let settings = change(PythonSettings::from_environment());
        let mut version = Command::new(&settings.interpreter);
        let version = version.arg("--version").stdout(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no {}", settings.interpreter.display());
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("functions.py"), python).unwrap();
        let hooks = PythonHooks::new(settings);
        Some(Self { folder, hooks })
    }

    fn function(&self, name: &str) -> PythonFunction {
        PythonFunction {
            name: format!("functions.{name}"),
            at: Position::start_of(&self.folder.path().join("task.yaml")),
        }
    }

    fn field(&self, name: &str) -> Result<Value, String> {
        self.hooks
            .field(&self.function(name), &row(json!({"q": "one"})))
    }

    fn fails(&self, name: &str) -> String {
        self.field(name).unwrap_err()
    }

    fn place(&self, line: usize) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        format!(" ({}, line {line})", folder.join("functions.py").display())
    }
}

fn row(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn rows(value: Value) -> Vec<Map<String, Value>> {
    serde_json::from_value(value).unwrap()
}
