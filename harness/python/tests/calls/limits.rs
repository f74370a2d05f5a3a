//! Functions that do not end, that end the process, or that answer what is no answer.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use harness_python::{PythonHooks, PythonSettings};
use harness_task::yaml::Position;
use harness_task::{Hooks, PythonFunction};
use serde_json::json;

use crate::Folder;

#[test]
fn a_call_that_takes_too_long_is_stopped_with_all_it_started() {
    let Some(python) = Folder::with(
        r#"
import re, subprocess, time
def fine(doc): return 1
def loops(doc):
    print("round and round")
    while True: pass
def holds_the_interpreter(doc): re.match(r"(a+)+$", "a" * 60 + "b")
def starts(doc):
    child = subprocess.Popen(["sleep", "600"])
    with open(__file__ + ".child", "w") as file: file.write(str(child.pid))
    child.wait()
"#,
        |settings| PythonSettings {
            time_limit: Duration::from_millis(1500),
            ..settings
        },
    ) else {
        return;
    };
    let begun = Instant::now();
    assert_eq!(
        python.fails("loops"),
        "it took longer than 1.5 s, and was stopped; on stderr:\n  round and round"
    );
    assert_eq!(python.field("fine"), Ok(json!(1)), "a new process answers");
    assert_eq!(
        python.fails("holds_the_interpreter"),
        "it took longer than 1.5 s, and was stopped"
    );
    python.fails("starts");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let child = fs::read_to_string(python.folder.path().join("functions.py.child")).unwrap();
    assert!(!runs(&child), "process {child} still runs");
}

#[test]
fn a_process_that_dies_or_answers_nonsense_is_one_clear_error() {
    let Some(python) = Folder::with(
        r#"
import os, sys
def dies(doc):
    print("last words")
    sys.stdout.flush()
    os._exit(7)
def forges(doc):
    for fd in range(3, 20):
        try: os.write(fd, b"garbage\n")
        except OSError: pass
def long(doc): return "x" * 2000
def fine(doc): return 1
"#,
        |settings| PythonSettings {
            answer_limit: 1000,
            ..settings
        },
    ) else {
        return;
    };
    assert_eq!(
        python.fails("dies"),
        "Python ended while it ran (exit status: 7); on stderr:\n  last words"
    );
    let forged = python.fails("forges");
    assert!(
        forged.starts_with("Python answered in no form that is understood ("),
        "{forged}"
    );
    assert!(forged.ends_with("\"garbage\\n\""), "{forged}");
    assert_eq!(python.fails("long"), "its answer is longer than 1000 bytes");
    assert_eq!(python.field("fine"), Ok(json!(1)));
}

#[test]
fn a_python_that_is_none_is_named() {
    let hooks = |interpreter: &str| {
        PythonHooks::new(PythonSettings {
            interpreter: interpreter.into(),
            ..PythonSettings::default()
        })
    };
    let function = PythonFunction {
        name: "a.f".into(),
        at: Position::start_of(Path::new("t.yaml")),
    };
    let error = hooks("surely-no-python").samples(&function).unwrap_err();
    assert!(
        error.starts_with("`surely-no-python` cannot be started: "),
        "{error}"
    );
    assert!(
        error.ends_with("; install Python 3, or set HARNESS_PYTHON to one"),
        "{error}"
    );
    if cfg!(unix) {
        let error = hooks("false").samples(&function).unwrap_err();
        assert_eq!(error, "Python ended while it ran (exit status: 1)");
    }
}

#[test]
fn the_process_ends_with_its_owner_whatever_it_does() {
    let python = "import os, threading, time\n\
                  def process(doc):\n    threading.Thread(target=time.sleep, args=(600,)).start()\n    return os.getpid()\n";
    let Some(python) = Folder::new(python) else {
        return;
    };
    let id = python.field("process").unwrap();
    assert!(runs(&id.to_string()) || !Path::new("/proc/self").exists());
    drop(python);
    assert!(!runs(&id.to_string()), "process {id} still runs");
}

/// Only where there is `/proc`.
fn runs(process: &str) -> bool {
    let status = Path::new("/proc").join(process).join("status");
    fs::read_to_string(status).is_ok_and(|status| !status.contains("State:\tZ"))
}
