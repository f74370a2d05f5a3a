//! What functions are given and may give, and what is said of those that misbehave. Needs a Python 3, and skips without one.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

#[test]
fn every_kind_of_call_is_answered() {
    let Some(python) = Folder::new(
        r#"
from functools import partial
from lm_eval.api.filter import Filter
from lm_eval.filters.extraction import RegexFilter
from datasets import Dataset

def data(first, **others): return {"test": Dataset.from_list([{"q": first}]), "train": [{"q": len(others)}]}
def twice(dataset, only): return dataset.filter(lambda row: row["q"] != only).map(lambda row: {"r": (row["q"], 1)})
rows = partial(twice, only="two")
def samples(): return ({"q": i} for i in range(2))
def text(doc): return doc["q"] + "!"
def results(doc, results):
    (ll, greedy), = results
    assert isinstance(results[0], tuple)
    return {"pair": (ll, greedy), "bad": float("nan")}
def keyword(predictions, references, k): return {"a": predictions + references, "b": k}
def positional(items): return items[0] == items[1]
def share(values): return sum(value != value for value in values) / len(values)
class Number(RegexFilter):
    def __init__(self, suffix): super().__init__(r"(\d+)|(x)"); self.suffix = suffix
    def apply(self, resps, docs): return (map(lambda found: found + self.suffix, found) for found in super().apply(resps, docs))
def first(resps, docs): return [resp[0] + doc["q"] for resp, doc in zip(resps, docs)]
"#,
    ) else {
        return;
    };
    let hooks = &python.hooks;
    let at = |name: &str| python.function(name);
    assert_eq!(
        hooks.dataset(&at("data"), &row(json!({"first": "x", "b": 1}))),
        Ok(row(json!({"test": [{"q": "x"}], "train": [{"q": 1}]})))
    );
    let documents = rows(json!([{"q": "one"}, {"q": "two"}]));
    assert_eq!(
        hooks.process_docs(&at("rows"), &documents),
        Ok(rows(json!([{"q": "one", "r": ["one", 1]}])))
    );
    assert_eq!(
        hooks.samples(&at("samples")),
        Ok(rows(json!([{"q": 0}, {"q": 1}])))
    );
    assert_eq!(python.field("text"), Ok(json!("one!")));
    let values = hooks.process_results(&at("results"), &documents[0], &[json!([-0.1, true])]);
    let values = values.unwrap();
    assert_eq!(values["pair"], json!([-0.1, true]));
    assert_eq!(
        hooks.aggregate(&at("share"), &[values["bad"].clone(), json!(1)]),
        Ok(0.5)
    );
    let options = row(json!({"k": 3}));
    assert_eq!(
        hooks.metric(&at("keyword"), &json!("t"), &json!("r"), &options),
        Ok(json!({"a": ["r", "t"], "b": 3}))
    );
    assert_eq!(
        hooks.metric(&at("positional"), &json!("t"), &json!("t"), &options),
        Ok(json!(true))
    );
    let responses = [json!(["is 12"]), json!(["no"])];
    assert_eq!(
        hooks.filter_class(
            &at("Number"),
            &row(json!({"suffix": "."})),
            &responses,
            &documents
        ),
        Ok(vec![json!(["12."]), json!(["[invalid]."])])
    );
    assert_eq!(
        hooks.filter_function(&at("first"), &responses, &documents),
        Ok(vec![json!("is 12one"), json!("notwo")])
    );
}

#[test]
fn numbers_and_texts_cross_unchanged() {
    let Some(python) = Folder::new("def same(doc): return doc\n") else {
        return;
    };
    let document = row(json!({
        "float": 0.1 + 0.2, "small": 5e-324, "large": u64::MAX, "least": i64::MIN, "integral": 2.0,
        "text": "é\u{2028}\u{0}\"\\\n😀", "none": null, "nested": [[{}], [], {"k": false}]
    }));
    let given = python.hooks.field(&python.function("same"), &document);
    assert_eq!(given, Ok(Value::Object(document)));
}

#[test]
fn the_module_lives_on_and_what_it_prints_is_no_answer() {
    let Some(python) = Folder::new(
        r#"
import os, subprocess, sys
calls = 0
print("{\"value\": \"forged\"}")
def count(doc):
    global calls
    calls += 1
    print("{\"value\": \"forged\"}")
    os.write(1, b"garbage\x00\xff\n")
    subprocess.run(["echo", "more garbage"])
    sys.stderr.write("x" * 5_000_000)
    return [calls, sys.stdin.read()]
"#,
    ) else {
        return;
    };
    assert_eq!(python.field("count"), Ok(json!([1, ""])));
    assert_eq!(python.field("count"), Ok(json!([2, ""])));
    let names = fs::read_dir(python.folder.path()).unwrap().flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["functions.py"], "nothing is left beside the task");
}

#[test]
fn failures_name_their_cause_and_place() {
    let Some(python) = Folder::new(
        r#"import sys
def raises(doc):
    print("about to look")
    return doc["nothing"]
def ends(doc): sys.exit(3)
def lacks(doc):
    import surely_not_installed.deep
def stands_in(doc):
    from datasets import Image
def not_stood_in(doc):
    from lm_eval.api.task import ConfigurableTask
def odd(doc): return object()
def huge(doc): return 2**70
def surrogate(doc): return "\ud800"
def key(doc): return {1: 2}
def process_results(doc, results): return 1
def nan(values): return float("nan")
number = 1
"#,
    ) else {
        return;
    };
    let (place, fails) = (|line| python.place(line), |name| python.fails(name));
    assert_eq!(
        fails("raises"),
        format!(
            "KeyError: 'nothing'{}; on stderr:\n  about to look",
            place(4)
        )
    );
    assert_eq!(fails("ends"), format!("it called exit(3){}", place(5)));
    let lacks = fails("lacks");
    assert!(
        lacks.starts_with("it needs the Python package `surely_not_installed`, which "),
        "{lacks}"
    );
    assert!(
        lacks.ends_with(&format!(
            " does not have{}: pip install surely_not_installed, or set HARNESS_PYTHON to a Python that has it",
            place(7)
        )),
        "{lacks}"
    );
    assert_eq!(
        fails("odd"),
        "its answer holds a value of type object, which JSON does not have"
    );
    assert_eq!(
        fails("huge"),
        format!("{} is too large for 64 bits", 1_u128 << 70)
    );
    assert!(fails("surrogate").starts_with("UnicodeEncodeError: "));
    assert_eq!(fails("key"), "its answer has the key 1, which is no text");
    let folder = python.folder.path().canonicalize().unwrap();
    let file = folder.join("functions.py").display().to_string();
    assert_eq!(
        fails("proces_results"),
        format!(
            "there is no function `proces_results` in {file} (did you mean `process_results`?)"
        )
    );
    assert_eq!(
        fails("number"),
        format!("`number` in {file} is no function but of type int")
    );
    let results =
        python
            .hooks
            .process_results(&python.function("process_results"), &Map::new(), &[]);
    assert_eq!(results, Err("it must give values by name, not int".into()));
    let value = python.hooks.aggregate(&python.function("nan"), &[]);
    assert_eq!(value, Err("it gave nan, which is no score".into()));
    let elsewhere = PythonFunction {
        name: "missing.f".into(),
        ..python.function("f")
    };
    let error = python.hooks.samples(&elsewhere).unwrap_err();
    assert!(
        error.ends_with("missing.py nor an installed module `missing`"),
        "{error}"
    );
    let bare = PythonFunction {
        name: "f".into(),
        ..elsewhere
    };
    let error = python.hooks.samples(&bare).unwrap_err();
    assert_eq!(
        error,
        "`f` names no module; write `!function MODULE.f` for a function in MODULE.py"
    );
}

#[test]
fn what_the_stand_ins_lack_names_the_package() {
    let Some(python) = Folder::new(
        r#"
import datasets, lm_eval
real = "stand_ins" not in datasets.__file__ or "stand_ins" not in lm_eval.__file__
def is_real(doc): return real
def image(doc): return datasets.Image
def task(doc): from lm_eval.api.task import ConfigurableTask
def scale(doc): return datasets.Dataset.from_list([doc]).to_pandas()
"#,
    ) else {
        return;
    };
    if python.field("is_real") == Ok(json!(true)) {
        eprintln!("SKIPPED: datasets or lm_eval is installed");
        return;
    }
    for (name, package) in [
        ("image", "datasets"),
        ("task", "lm_eval"),
        ("scale", "datasets"),
    ] {
        let error = python.fails(name);
        assert!(error.contains(&format!("pip install {package}")), "{error}");
    }
}

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
    let alive = Path::new("/proc").join(&child).join("status");
    let runs = fs::read_to_string(alive).is_ok_and(|status| !status.contains("State:\tZ"));
    assert!(!runs, "process {child} still runs");
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
