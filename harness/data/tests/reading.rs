//! Rows and columns as Hugging Face's `datasets` 5.2.0 gives them: values of every Parquet type, formats and their options,
//! split expressions, cards. Expected values are that library's.

#![allow(
    clippy::unwrap_used,
    reason = "a test: panics are failures, recorded numbers are exact"
)]

use std::fs;
use std::path::Path;

use harness_data::{DataSource, DatasetOptions, DatasetRef, Document, Selection, Split};
use serde_json::{Value, json};

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A data set of `path` with these `dataset_kwargs`, relative to `root`.
fn dataset(root: &Path, path: &str, kwargs: &Value) -> DatasetRef {
    DatasetRef {
        path: path.to_owned(),
        options: DatasetOptions::from_kwargs(kwargs.as_object().unwrap()).unwrap(),
        base_dir: root.to_owned(),
        name: None,
    }
}

fn load(root: &Path, path: &str, kwargs: &Value, split: &str) -> Split {
    let source = DataSource::new(vec![root.to_owned()]);
    source.load(&dataset(root, path, kwargs), split).unwrap()
}

fn rows(split: &Split) -> Value {
    split.documents.iter().cloned().map(Value::Object).collect()
}

fn column(split: &Split, name: &str) -> Vec<Value> {
    split
        .documents
        .iter()
        .map(|row| row[name].clone())
        .collect()
}

fn files() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files"))
}

/// `types.parquet` is pyarrow's; `types.jsonl` what `datasets` made of it, with `str` of what JSON has no value for.
#[test]
fn parquet_values_are_those_of_the_library() {
    let kwargs = json!({"data_files": "types.parquet"});
    let found = load(files(), "parquet", &kwargs, "train");
    let recorded = fs::read_to_string(files().join("types.jsonl")).unwrap();
    let want: Vec<Document> = recorded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found.documents.len(), want.len());
    for (row, want) in found.documents.iter().zip(&want) {
        assert!(row.keys().eq(want.keys()), "the order of columns");
        for (name, cell) in row {
            assert_eq!(cell, &want[name], "{name}");
        }
    }
    assert_eq!(found.columns, want[0].keys().cloned().collect::<Vec<_>>());
}

/// The file has row groups of two rows.
#[test]
fn parquet_rows_and_columns_are_chosen() {
    let source = DataSource::default();
    let dataset = dataset(
        files(),
        "parquet",
        &json!({"data_files": ["types.parquet", "types.parquet"]}),
    );
    let chosen = |split: &str, limit| {
        let selection = Selection {
            columns: Some(&["string", "int8"]),
            limit,
        };
        rows(&source.select(&dataset, split, &selection).unwrap())
    };
    let all = json!([
        {"int8": -5, "string": "a"}, {"int8": null, "string": ""}, {"int8": 7, "string": null},
        {"int8": -5, "string": "a"}, {"int8": null, "string": ""}, {"int8": 7, "string": null},
    ]);
    let part = |rows: std::ops::Range<usize>| Value::from(all.as_array().unwrap()[rows].to_vec());
    assert_eq!(chosen("train", None), all);
    assert_eq!(chosen("train", Some(4)), part(0..4));
    assert_eq!(chosen("train[1:4]", None), part(1..4));
    assert_eq!(chosen("train[2:]", Some(2)), part(2..4));
    assert_eq!(chosen("train[-2:]", None), part(4..6));
    assert_eq!(chosen("train[50%:]", Some(1)), part(3..4));
    assert_eq!(chosen("train[7:]", None), json!([]));
}

/// A column of pictures, as `datasets` stores it, is no column here; the rest of the row is.
#[test]
fn pictures_are_left_out() {
    let found = load(
        files(),
        "parquet",
        &json!({"data_files": "pictures.parquet"}),
        "train",
    );
    assert_eq!(found.columns, ["id", "options", "answer"]);
    assert_eq!(
        rows(&found),
        json!([
            {"id": 1, "options": [{"text": "a"}], "answer": "x"},
            {"id": 2, "options": [], "answer": null},
        ])
    );
}

#[test]
fn split_expressions_join_splits() {
    let root = tempfile::tempdir().unwrap();
    let numbers = |range: std::ops::Range<u32>| {
        range
            .map(|n| format!("{{\"n\": {n}}}\n"))
            .collect::<Vec<_>>()
            .concat()
    };
    write(root.path(), "d/train.jsonl", &numbers(0..10));
    write(root.path(), "d/test.jsonl", &numbers(10..15));
    let numbers = |split: &str, kwargs: Value| column(&load(root.path(), "d", &kwargs, split), "n");
    assert_eq!(numbers("train[:2]+test[-1:]", json!({})), [0, 1, 14]);
    assert_eq!(numbers("test[:50%]", json!({})), [10, 11]);
    assert_eq!(numbers("train", json!({"split": "train[8:]"})), [8, 9]);
    assert_eq!(
        numbers("eval", json!({"split": {"eval": "test[:1]+train[:1]"}})),
        [10, 0]
    );
}

#[test]
fn text_is_cut_into_lines_paragraphs_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "t.txt", "one\r\ntwo\n\n\nthree\n\nfour");
    let texts = |more: Value| {
        let mut kwargs = json!({"data_files": {"test": "t.txt"}});
        kwargs
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        column(&load(root.path(), "text", &kwargs, "test"), "text")
    };
    assert_eq!(
        texts(json!({})),
        ["one", "two", "", "", "three", "", "four"]
    );
    assert_eq!(
        texts(json!({"keep_linebreaks": true})),
        ["one\n", "two\n", "\n", "\n", "three\n", "\n", "four"]
    );
    assert_eq!(
        texts(json!({"sample_by": "paragraph"})),
        ["one\ntwo", "\nthree", "four"]
    );
    assert_eq!(
        texts(json!({"sample_by": "document"})),
        ["one\ntwo\n\n\nthree\n\nfour"]
    );
}

#[test]
fn json_rows_are_lines_a_field_or_one_object() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "f.json",
        r#"{"version": 1, "data": [{"b": 1, "a": [2]}, {"b": 3, "a": []}]}"#,
    );
    write(
        root.path(),
        "c.json",
        "{\n\"b\": [1, 3],\n\"a\": [[2], []]\n}\n",
    );
    write(
        root.path(),
        "g.json",
        r#"{"data": {"b": [1, 3], "a": [[2], []]}}"#,
    );
    let want = json!([{"b": 1, "a": [2]}, {"b": 3, "a": []}]);
    for file in ["f.json", "g.json"] {
        let kwargs = json!({"data_files": file, "field": "data"});
        let found = load(root.path(), "json", &kwargs, "train");
        assert_eq!(rows(&found), want);
        assert_eq!(found.columns, ["b", "a"]);
    }
    let found = load(
        root.path(),
        "json",
        &json!({"data_files": "c.json"}),
        "train",
    );
    assert_eq!(rows(&found), json!([{"b": [1, 3], "a": [[2], []]}]));
}

#[test]
fn csv_is_read_as_it_is_told() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "a.csv",
        "# made by hand\nq;a\n'x;y';1\n'it\\'s';?\n",
    );
    let kwargs = json!({
        "data_files": "a.csv", "delimiter": ";", "quotechar": "'", "escapechar": "\\", "comment": "#", "na_values": "?",
    });
    assert_eq!(
        rows(&load(root.path(), "csv", &kwargs, "train")),
        json!([{"q": "x;y", "a": 1.0}, {"q": "it's", "a": null}])
    );
    write(root.path(), "b.tsv", "NA\t1\nb\t2\nc\t3\n");
    let kwargs = json!({
        "data_files": "b.tsv", "sep": "\t", "header": null, "names": ["t", "n"], "keep_default_na": false, "nrows": 2,
    });
    assert_eq!(
        rows(&load(root.path(), "csv", &kwargs, "train")),
        json!([{"t": "NA", "n": 1}, {"t": "b", "n": 2}])
    );
    write(root.path(), "c.csv", "junk\nold,names\n\"1,2\n");
    let kwargs = json!({
        "data_files": "c.csv", "skiprows": 1, "header": 0, "column_names": ["a", "b"], "quoting": 3,
    });
    assert_eq!(
        rows(&load(root.path(), "csv", &kwargs, "train")),
        json!([{"a": "\"1", "b": 2}])
    );
}

#[test]
fn builders_take_patterns_folders_and_compressed_files() {
    let root = tempfile::tempdir().unwrap();
    for (file, n) in [
        ("r/x-train.jsonl", 1),
        ("r/deep/y-train.jsonl", 2),
        ("r/dev.jsonl", 3),
        ("r/.z-train.jsonl", 4),
    ] {
        write(root.path(), file, &format!("{{\"n\": {n}}}\n"));
    }
    let numbers =
        |kwargs: Value, split: &str| column(&load(root.path(), "json", &kwargs, split), "n");
    assert_eq!(
        numbers(json!({"data_files": {"train": "r/*.jsonl"}}), "train"),
        [3, 1]
    );
    assert_eq!(
        numbers(json!({"data_files": "r/**/*-train.jsonl"}), "train"),
        [2, 1]
    );
    assert_eq!(
        numbers(json!({"data_dir": "r", "data_files": "x*"}), "train"),
        [1]
    );
    assert_eq!(numbers(json!({"data_dir": "r"}), "validation"), [3]);
    let absolute = root.path().join("r/dev.jsonl");
    assert_eq!(numbers(json!({"data_files": [absolute]}), "train"), [3]);
    let compressed =
        json!({"data_files": [files().join("one.jsonl.gz"), files().join("two.jsonl.zst")]});
    assert_eq!(numbers(compressed, "train"), [1, 2]);
}

const CARD: &str = "---\nlicense: mit\nconfigs:\n- config_name: main\n  default: true\n  data_files:\n  - split: dev\n    \
                    path: rows/dev-*\n  - split: test\n    path: [rows/a.tsv, rows/b.tsv]\n- config_name: pairs\n  \
                    data_dir: other\n  sep: '|'\n---\n# Rows\n";

#[test]
fn a_card_says_what_is_where() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "org__d/README.md", CARD);
    for (file, text) in [
        ("rows/dev-00001-of-00002.csv", "n\n2\n"),
        ("rows/dev-00000-of-00002.csv", "n\n1\n"),
        ("rows/a.tsv", "n\tm\n3\t\n"),
        ("rows/b.tsv", "n\tm\n4\t\n"),
        ("other/my_train.csv", "n|m\n5|x\n"),
    ] {
        write(root.path(), &format!("org__d/{file}"), text);
    }
    let numbers = |name: Option<&str>, kwargs: Value, split: &str| {
        let mut dataset = dataset(Path::new(""), "org/d", &kwargs);
        dataset.name = name.map(str::to_owned);
        let source = DataSource::new(vec![root.path().to_owned()]);
        column(&source.load(&dataset, split).unwrap(), "n")
    };
    assert_eq!(numbers(None, json!({}), "dev"), [1, 2]);
    assert_eq!(numbers(Some("main"), json!({}), "test"), [3, 4]);
    assert_eq!(numbers(Some("pairs"), json!({}), "train"), [5]);
    assert_eq!(numbers(None, json!({"name": "pairs"}), "train"), [5]);
    assert_eq!(
        numbers(None, json!({"data_files": {"x": "rows/*.tsv"}}), "x"),
        [3, 4]
    );
    assert_eq!(
        numbers(None, json!({"data_dir": "other", "sep": "|"}), "train"),
        [5]
    );
}
