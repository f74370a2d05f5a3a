//! Finding and reading data sets in every layout, and what is said when one is not there.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud, recorded numbers are exact"
)]

use std::fs;
use std::path::{Path, PathBuf};

use harness_data::{DataFiles, DataSource, DatasetOptions, DatasetRef, Document};
use serde_json::json;

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn dataset(path: &str, name: Option<&str>) -> DatasetRef {
    DatasetRef {
        path: path.to_owned(),
        name: name.map(str::to_owned),
        ..DatasetRef::default()
    }
}

fn row(value: serde_json::Value) -> Document {
    match value {
        serde_json::Value::Object(document) => document,
        other => panic!("{other} is no row"),
    }
}

/// The error of loading `split`, with the folder's own name taken out.
fn error(root: &Path, dataset: &DatasetRef, split: &str) -> String {
    let source = DataSource::new(vec![root.to_owned()]);
    source
        .load(dataset, split)
        .unwrap_err()
        .to_string()
        .replace(&root.display().to_string(), "DATA")
}

#[test]
fn every_layout_is_found() {
    for file in [
        "org__name/config/test.jsonl",
        "org/name/config/test.jsonl",
        "name/config/test.jsonl",
        "org__name/config/test-00000-of-00001.jsonl",
        "org__name/config/data/test-00000-of-00001-0123abcd.jsonl",
    ] {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), file, "{\"a\": 1}\n");
        let split = DataSource::new(vec![root.path().to_owned()])
            .load(&dataset("org/name", Some("config")), "test");
        assert_eq!(split.unwrap().documents, [row(json!({"a": 1}))], "{file}");
    }
}

#[test]
fn without_a_config_default_root_and_the_only_config_serve() {
    for file in [
        "d/default/train.json",
        "d/train.jsonl",
        "d/data/train.jsonl",
        "d/only/train.jsonl",
    ] {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), file, "{\"a\": 1}\n");
        let split =
            DataSource::new(vec![root.path().to_owned()]).load(&dataset("org/d", None), "train");
        assert_eq!(split.unwrap().columns, ["a"], "{file}");
    }
}

#[test]
fn shards_are_read_in_order_and_none_may_be_missing() {
    let root = tempfile::tempdir().unwrap();
    for shard in [1, 0, 2] {
        write(
            root.path(),
            &format!("d/train-0000{shard}-of-00003.jsonl"),
            &format!("{{\"n\": {shard}}}\n"),
        );
    }
    let source = DataSource::new(vec![root.path().to_owned()]);
    let numbers: Vec<_> = source
        .load(&dataset("d", None), "train")
        .unwrap()
        .documents
        .iter()
        .map(|row| row["n"].clone())
        .collect();
    assert_eq!(numbers, [json!(0), json!(1), json!(2)]);

    fs::remove_file(root.path().join("d/train-00001-of-00003.jsonl")).unwrap();
    assert_eq!(
        error(root.path(), &dataset("d", None), "train"),
        "split `train` in DATA/d should have 3 shards, found 2"
    );
}

#[test]
fn a_missing_data_set_names_the_nearest_and_the_flag() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "allenai__ai2_arc/ARC-Easy/test.jsonl", "{}\n");
    let message = error(
        root.path(),
        &dataset("allenai/ai2_ark", Some("ARC-Easy")),
        "test",
    );
    assert!(
        message.contains("did you mean `allenai/ai2_arc`?"),
        "{message}"
    );
    assert!(message.contains("DATA/allenai__ai2_ark"), "{message}");
    assert!(message.contains("--data-dir"), "{message}");
}

#[test]
fn a_missing_config_or_split_lists_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "d/ARC-Easy/test.jsonl", "{\"a\": 1}\n");
    write(root.path(), "d/ARC-Challenge/test.jsonl", "{\"a\": 1}\n");
    assert_eq!(
        error(root.path(), &dataset("d", Some("ARC-Easi")), "test"),
        "data set `d` has no config `ARC-Easi` (did you mean `ARC-Easy`?); DATA/d has `ARC-Challenge`, `ARC-Easy`"
    );
    assert_eq!(
        error(root.path(), &dataset("d", None), "test"),
        "data set `d` has no config of the name `default`; choose one with dataset_name; DATA/d has `ARC-Challenge`, \
         `ARC-Easy`"
    );
    assert_eq!(
        error(root.path(), &dataset("d", Some("ARC-Easy")), "tests"),
        "data set `d` has no split `tests` (did you mean `test`?); DATA/d/ARC-Easy has `test`"
    );
}

#[test]
fn builders_look_beside_the_yaml_first() {
    let (beside, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(beside.path(), "rows.csv", "text,label\nbeside,1\n");
    write(data.path(), "rows.csv", "text,label\nbelow,1\n");
    write(data.path(), "more.csv", "text,label\nmore,2\n");
    let source = DataSource::new(vec![data.path().to_owned()]);
    let mut builder = DatasetRef {
        options: DatasetOptions {
            data_files: Some(DataFiles::Train(vec![
                "rows.csv".to_owned(),
                "more.csv".to_owned(),
            ])),
            ..DatasetOptions::default()
        },
        base_dir: beside.path().to_owned(),
        ..dataset("csv", None)
    };
    assert_eq!(
        source.load(&builder, "train").unwrap().documents,
        [
            row(json!({"text": "beside", "label": 1})),
            row(json!({"text": "more", "label": 2}))
        ]
    );
    assert!(
        source
            .load(&builder, "test")
            .unwrap_err()
            .to_string()
            .contains("data_files has `train`")
    );

    builder.options.data_files = Some(DataFiles::BySplit(vec![(
        "test".to_owned(),
        vec!["gone.csv".to_owned()],
    )]));
    assert!(
        source
            .load(&builder, "test")
            .unwrap_err()
            .to_string()
            .starts_with("data file `gone.csv` not found")
    );
    builder.options.data_files = Some(DataFiles::BySplit(vec![(
        "test".to_owned(),
        vec!["https://x/y.csv".to_owned()],
    )]));
    assert!(
        source
            .load(&builder, "test")
            .unwrap_err()
            .to_string()
            .contains("no hub is there to download it")
    );
}

#[test]
fn csv_columns_are_typed_as_pandas_types_them() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "d/test.csv",
        "i,g,f,b,t\n1,1,1,True,x\n2,,2.5,False,NA\n",
    );
    let split = DataSource::new(vec![root.path().to_owned()])
        .load(&dataset("d", None), "test")
        .unwrap();
    assert_eq!(split.columns, ["i", "g", "f", "b", "t"]);
    assert_eq!(
        split.documents,
        [
            row(json!({"i": 1, "g": 1.0, "f": 1.0, "b": true, "t": "x"})),
            row(json!({"i": 2, "g": null, "f": 2.5, "b": false, "t": null})),
        ]
    );
}

#[test]
fn corrupt_files_are_named_with_their_line() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "lines/test.jsonl", "{\"a\": 1}\n\n{\"a\": }\n");
    write(root.path(), "rows/test.jsonl", "{\"a\": 1}\n[1]\n");
    write(root.path(), "ragged/test.csv", "a,b\n1,2\n3\n");
    write(root.path(), "cut/test.parquet", "PAR1 and then nothing");
    let message = |name| error(root.path(), &dataset(name, None), "test");
    assert!(
        message("lines").starts_with("DATA/lines/test.jsonl:3: not JSON at column 7"),
        "{}",
        message("lines")
    );
    assert_eq!(
        message("rows"),
        "DATA/rows/test.jsonl:2: the row is an array, not an object with one key per column"
    );
    assert!(
        message("ragged").starts_with("DATA/ragged/test.csv:3: "),
        "{}",
        message("ragged")
    );
    assert!(
        message("cut").starts_with("DATA/cut/test.parquet: not a readable Parquet file"),
        "{}",
        message("cut")
    );
}

#[test]
fn keys_missing_in_some_rows_are_null() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "d/test.json", "[{\"a\": 1}, {\"b\": 2}]");
    let split = DataSource::new(vec![root.path().to_owned()])
        .load(&dataset("d", None), "test")
        .unwrap();
    assert_eq!(
        split.documents,
        [
            row(json!({"a": 1, "b": null})),
            row(json!({"a": null, "b": 2}))
        ]
    );
}

fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("HARNESS_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    if !folder.is_dir() {
        eprintln!("SKIPPED: no {} (set HARNESS_DATA)", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn real_parquet_with_nested_columns() {
    let Some(folder) = real_data() else { return };
    let split = DataSource::new(vec![folder])
        .load(&dataset("allenai/ai2_arc", Some("ARC-Easy")), "test")
        .unwrap();
    assert_eq!(split.documents.len(), 2376);
    assert_eq!(split.columns, ["id", "question", "choices", "answerKey"]);
    assert_eq!(
        split.documents[0]["choices"]["label"],
        json!(["A", "B", "C", "D"])
    );
}

/// Damage anywhere in a file must end in rows or in an error, never in a panic.
#[test]
fn damaged_parquet_never_panics() {
    let Some(folder) = real_data() else { return };
    let bytes = fs::read(folder.join("locuslab__TOFU/forget01/train.parquet")).unwrap();
    let root = tempfile::tempdir().unwrap();
    let source = DataSource::new(vec![root.path().to_owned()]);
    let file = root.path().join("d/train.parquet");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 400 + 1) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        fs::write(&file, &damaged).unwrap();
        let _ = source.load(&dataset("d", None), "train");
        fs::write(&file, &bytes[..at]).unwrap();
        assert!(
            source.load(&dataset("d", None), "train").is_err(),
            "cut at {at}"
        );
    }
}
