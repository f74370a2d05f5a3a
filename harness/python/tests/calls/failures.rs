//! What is said of functions that fail, and of those that are not there.

use harness_task::{Hooks, PythonFunction};
use serde_json::{Map, json};

use crate::Folder;

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
}

#[test]
fn what_is_no_function_and_what_is_no_score_is_said() {
    let Some(python) = Folder::new(
        r#"def process_results(doc, results): return 1
def nan(values): return float("nan")
number = 1
"#,
    ) else {
        return;
    };
    let fails = |name| python.fails(name);
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
def shuffle(doc):
    import sys
    sys.modules["numpy"] = None
    return datasets.Dataset.from_list([doc]).shuffle(seed=1)
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
        ("shuffle", "numpy"),
    ] {
        let error = python.fails(name);
        assert!(error.contains(&format!("pip install {package}")), "{error}");
    }
}
