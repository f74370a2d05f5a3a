//! What is said about data that is not there or not right: the exact words, each with the thing, the cause and a way out.

#![allow(
    clippy::unwrap_used,
    reason = "a test: panics are failures, expected texts are exact"
)]

mod missing;
mod wrong;

use std::fs;
use std::path::Path;

use harness_data::{DataSource, DatasetOptions, DatasetRef, Selection};
use serde_json::{Value, json};

/// Files that every case can name, below DATA.
const FILES: [(&str, &str); 23] = [
    ("org__quiz/easy/test.jsonl", "{\"q\": \"a\", \"n\": 1}\n"),
    (
        "org__quiz/easy/train-00000-of-00003.jsonl",
        "{\"q\": \"a\", \"n\": 1}\n",
    ),
    ("org__quiz/hard/test.jsonl", "{\"q\": \"a\", \"n\": 1}\n"),
    ("made/made.py", "import datasets"),
    ("empty/notes.md", "nothing"),
    (
        "card/README.md",
        "---\nconfigs:\n- config_name: one\n  data_files: rows/*\n---\n",
    ),
    ("card/rows/a.csv", "a\n1\n"),
    ("badcard/README.md", "---\nconfigs: [\n---\n"),
    ("badcard/train.csv", "a\n1\n"),
    (
        "oddcard/README.md",
        "---\nconfigs:\n- config_name: one\n  data_files: [3]\n---\n",
    ),
    (
        "oddpattern/README.md",
        "---\nconfigs:\n- config_name: one\n  data_files: 'a**'\n---\n",
    ),
    ("mixed/test-0000.csv", "a\n1\n"),
    ("mixed/test-0001.csv", "b\n1\n"),
    ("rows/lines.jsonl", "{\"a\": 1}\n{\"a\": \n"),
    ("rows/list.jsonl", "{\"a\": 1}\n[1]\n"),
    ("rows/array.json", "[{\"a\": 1}, 2]"),
    ("rows/object.json", "{\"data\": [], \"meta\": 1}"),
    (
        "rows/columns.json",
        "{\"data\": {\"a\": [1, 2], \"b\": [1]}}",
    ),
    ("rows/ragged.csv", "a,b\n1,2\n3\n"),
    ("rows/twice.csv", "a,a\n1,2\n"),
    ("rows/empty.csv", ""),
    ("rows/not.parquet", "PAR1"),
    ("rows/book.pdf", "%PDF"),
];

struct Case {
    dataset: &'static str,
    name: Option<&'static str>,
    kwargs: Value,
    split: &'static str,
    said: &'static str,
}

fn case(
    dataset: &'static str,
    name: Option<&'static str>,
    kwargs: Value,
    split: &'static str,
    said: &'static str,
) -> Case {
    Case {
        dataset,
        name,
        kwargs,
        split,
        said,
    }
}

fn check(cases: &[Case]) {
    let root = tempfile::tempdir().unwrap();
    for (file, text) in FILES {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(root.path().join("rows/latin.txt"), b"one\ncaf\xe9\n").unwrap();
    fs::write(root.path().join("rows/cut.jsonl.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    let mut wrong = Vec::new();
    for case in cases {
        let said = message(root.path(), case);
        if said != case.said {
            wrong.push(format!("got  {said}\nwant {}\n", case.said));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn message(root: &Path, case: &Case) -> String {
    let kwargs = case.kwargs.as_object().unwrap();
    let options = match DatasetOptions::from_kwargs(kwargs) {
        Ok(options) => options,
        Err(error) => return error.to_string(),
    };
    let dataset = DatasetRef {
        path: case.dataset.to_owned(),
        name: case.name.map(str::to_owned),
        options,
        base_dir: root.join("tasks"),
    };
    let source = DataSource::new(vec![root.to_owned()]);
    match source.load(&dataset, case.split) {
        Ok(split) => format!("{} rows", split.documents.len()),
        Err(error) => error
            .to_string()
            .replace(&root.display().to_string(), "DATA"),
    }
}

#[test]
fn a_column_that_is_not_there() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files"));
    let kwargs = json!({"data_files": "pictures.parquet"});
    let dataset = DatasetRef {
        path: "parquet".to_owned(),
        options: DatasetOptions::from_kwargs(kwargs.as_object().unwrap()).unwrap(),
        base_dir: folder.to_owned(),
        name: None,
    };
    let selection = Selection {
        columns: Some(&["answers"]),
        limit: Some(1),
    };
    let error = DataSource::default()
        .select(&dataset, "train", &selection)
        .unwrap_err();
    assert_eq!(
        error
            .to_string()
            .replace(&folder.display().to_string(), "FILES"),
        "FILES/pictures.parquet: no column `answers` (did you mean `answer`?); there are `id`, `options`, `answer`"
    );
}
