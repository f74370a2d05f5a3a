//! What functions are given, and what their answers become.

use std::fs;

use harness_python::PythonSettings;
use harness_task::Hooks;
use serde_json::{Value, json};

use crate::{Folder, row, rows};

const FUNCTIONS: &str = r#"
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
"#;

#[test]
fn every_kind_of_call_is_answered() {
    let Some(python) = Folder::new(FUNCTIONS) else {
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
fn the_random_streams_begin_with_their_seeds() {
    let python = "import random\ndef draw(doc): return [random.random(), random.random()]\n";
    let draw = |python_seed| {
        let change = |settings| PythonSettings {
            python_seed,
            ..settings
        };
        Folder::with(python, change).map(|python| python.field("draw").unwrap())
    };
    let Some(drawn) = draw(Some(0)) else {
        return;
    };
    // As anybody's Python prints for `random.seed(0)`.
    assert_eq!(
        drawn,
        json!([0.844_421_851_525_048_1, 0.757_954_402_940_302_5])
    );
    assert_ne!(draw(Some(1)), Some(drawn.clone()));
    assert_ne!(draw(None), Some(drawn));
}
