//! What is said about data that is not there or not right: the exact words, each with the thing, the cause and a way out.

#![allow(
    clippy::unwrap_used,
    reason = "a test: panics are failures, expected texts are exact"
)]

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
fn what_is_not_there() {
    let none = || json!({});
    check(&[
        case(
            "org/quizz",
            None,
            none(),
            "test",
            "data set `org/quizz` not found (did you mean `org/quiz`?); searched \
            DATA/tasks/org/quizz, DATA/org__quizz, DATA/org/quizz, DATA/quizz; name the folder that holds it with --data-dir",
        ),
        case(
            "org/quiz",
            Some("eazy"),
            none(),
            "test",
            "data set `org/quiz` has no config `eazy` (did you mean `easy`?); \
            DATA/org__quiz has `easy`, `hard`",
        ),
        case(
            "org/quiz",
            None,
            none(),
            "test",
            "data set `org/quiz` has no config of the name `default`; choose one with \
            dataset_name; DATA/org__quiz has `easy`, `hard`",
        ),
        case(
            "org/quiz",
            Some("easy"),
            none(),
            "tset",
            "data set `org/quiz` has no split `tset` (did you mean `test`?); \
            DATA/org__quiz/easy has `test`, `train`",
        ),
        case(
            "org/quiz",
            Some("easy"),
            none(),
            "train",
            "split `train` in DATA/org__quiz/easy should have 3 shards, found 1",
        ),
        case(
            "made",
            None,
            none(),
            "test",
            "data set `made` is made by the script made.py, and no \
            script is run; convert it by hand (datasets.load_dataset, then to_parquet) into a folder below --data-dir, or \
            name a revision that holds Parquet with dataset_kwargs: {revision: refs/convert/parquet}",
        ),
        case(
            "empty",
            None,
            none(),
            "test",
            "data set `empty` has no config of the name `default`; choose one with \
            dataset_name; DATA/empty has nothing",
        ),
        case(
            "card",
            Some("two"),
            none(),
            "train",
            "data set `card` has no config `two`; DATA/card has `one`",
        ),
        case(
            "card",
            Some("one"),
            none(),
            "test",
            "data set `card` has no split `test`; DATA/card has `train`",
        ),
        case(
            "card",
            None,
            json!({"data_dir": "raws"}),
            "train",
            "data set `card` has no split `train`; `raws` in DATA/card \
            has nothing",
        ),
        case(
            "card",
            None,
            json!({"data_files": "rows/b.csv"}),
            "train",
            "data file `rows/b.csv` not found (did you mean \
            `rows/a.csv`?); searched DATA/card",
        ),
        case(
            "csv",
            None,
            none(),
            "train",
            "data set `csv`: the builder needs `dataset_kwargs: {data_files: …}` or \
            `{data_dir: …}`",
        ),
        case(
            "csv",
            None,
            json!({"data_files": {"test": "rows/twice.csv"}}),
            "tests",
            "data set `csv` has no split `tests` \
            (did you mean `test`?); data_files has `test`",
        ),
        case(
            "csv",
            None,
            json!({"data_files": "rows/twcie.csv"}),
            "train",
            "data file `rows/twcie.csv` not found (did you \
            mean DATA/rows/twice.csv?); searched DATA/tasks/rows/twcie.csv, DATA/rows/twcie.csv",
        ),
        case(
            "csv",
            None,
            json!({"data_files": "rows/*.tsv"}),
            "train",
            "data file `rows/*.tsv` not found; searched \
            DATA/tasks/rows/*.tsv, DATA/rows/*.tsv",
        ),
        case(
            "csv",
            None,
            json!({"data_dir": "nowhere"}),
            "train",
            "data set `csv`: no folder for `data_dir`; searched \
            DATA/tasks/nowhere, DATA/nowhere",
        ),
        case(
            "json",
            None,
            json!({"data_files": "https://host/x.json"}),
            "train",
            "data set `json`: data file \
            `https://host/x.json` is an address, and no hub is there to download it",
        ),
    ]);
}

#[test]
fn what_is_not_right() {
    let of = |file: &str| json!({"data_files": format!("rows/{file}")});
    let field =
        |file: &str, field: &str| json!({"data_files": format!("rows/{file}"), "field": field});
    check(&[
        case(
            "badcard",
            None,
            json!({}),
            "train",
            "DATA/badcard/README.md: the YAML at its head: while parsing a node, did \
            not find expected node content at byte 11 line 2 column 1",
        ),
        case(
            "oddcard",
            None,
            json!({}),
            "train",
            "DATA/oddcard/README.md: config `one`: `data_files` is no pattern, list of \
            patterns, or list of maps with `split` and `path`",
        ),
        case(
            "oddpattern",
            None,
            json!({}),
            "train",
            "data set `oddpattern`: the pattern `a**` of its card is none: Pattern \
            syntax error near position 0: recursive wildcards must form a single path component",
        ),
        case(
            "mixed",
            None,
            json!({}),
            "test",
            "DATA/mixed/test-0001.csv: columns `b` differ from `a` in \
            DATA/mixed/test-0000.csv",
        ),
        case(
            "json",
            None,
            of("lines.jsonl"),
            "train",
            "DATA/rows/lines.jsonl:2: not JSON at column 6: EOF while parsing a \
            value at line 1 column 6",
        ),
        case(
            "json",
            None,
            of("list.jsonl"),
            "train",
            "DATA/rows/list.jsonl:2: the row is an array, not an object with one \
            key per column",
        ),
        case(
            "json",
            None,
            of("array.json"),
            "train",
            "DATA/rows/array.json: item 1 is a number, not an object with one key \
            per column",
        ),
        case(
            "json",
            None,
            field("object.json", "date"),
            "train",
            "DATA/rows/object.json: no key `date` (did you mean \
            `data`?); the file has `data`, `meta`",
        ),
        case(
            "json",
            None,
            field("object.json", "meta"),
            "train",
            "DATA/rows/object.json: rows are a list of objects, and \
            this is a number",
        ),
        case(
            "json",
            None,
            field("array.json", "data"),
            "train",
            "DATA/rows/array.json: with `field: data` the file must be \
            one object",
        ),
        case(
            "json",
            None,
            field("columns.json", "data"),
            "train",
            "DATA/rows/columns.json: column `b` has 1 cells where the \
            first has 2",
        ),
        case(
            "csv",
            None,
            of("ragged.csv"),
            "train",
            "DATA/rows/ragged.csv:3: CSV error: record 2 (line: 3, byte: 8): found \
            record with 1 fields, but the previous record has 2 fields",
        ),
        case(
            "csv",
            None,
            of("twice.csv"),
            "train",
            "DATA/rows/twice.csv:1: column `a` occurs twice",
        ),
        case(
            "csv",
            None,
            of("empty.csv"),
            "train",
            "DATA/rows/empty.csv: the file is empty; it needs a header line",
        ),
        case(
            "csv",
            None,
            json!({"data_files": "rows/twice.csv", "names": ["a"], "header": 0}),
            "train",
            "DATA/rows/twice.csv: 1 column names for 2 columns",
        ),
        case(
            "parquet",
            None,
            of("not.parquet"),
            "train",
            "DATA/rows/not.parquet: not a readable Parquet file: EOF: Parquet \
            file too small. Size is 4 but need 8",
        ),
        case(
            "text",
            None,
            of("latin.txt"),
            "train",
            "DATA/rows/latin.txt:2: not UTF-8; convert the file to it",
        ),
        case(
            "json",
            None,
            of("cut.jsonl.gz"),
            "train",
            "DATA/rows/cut.jsonl.gz: not a readable compressed file: unexpected \
            end of file",
        ),
        case(
            "rows",
            None,
            json!({"data_files": "book.pdf"}),
            "train",
            "DATA/rows/book.pdf: unknown file type; known are \
            `.parquet`, `.geoparquet`, `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.txt`",
        ),
    ]);
}

#[test]
fn what_is_asked_wrongly() {
    let easy = |split, said| case("org/quiz", Some("easy"), json!({}), split, said);
    let with = |kwargs, said| case("org/quiz", Some("easy"), kwargs, "test", said);
    check(&[
        easy(
            "test[3]",
            "split `test[3]`: `[3]` has no colon; one row is `[3:4]`",
        ),
        easy(
            "test[a:]",
            "split `test[a:]`: `a` is no whole number of rows or percent",
        ),
        easy("test[:5", "split `test[:5`: `[:5` is no `[from:to]`"),
        easy(
            "test[:150%]",
            "split `test[:150%]`: 150% is not between -100% and 100%",
        ),
        easy(
            "test[:5%](up)",
            "split `test[:5%](up)`: there is no rounding `up`; there are `closest` and \
            `pct1_dropremainder`",
        ),
        easy(
            "test[:5](closest)",
            "split `test[:5](closest)`: only percentages are rounded",
        ),
        easy(
            "test[:5%](closest",
            "split `test[:5%](closest`: the bracket `(` is not closed",
        ),
        easy(
            "test+",
            "split `test+`: `` does not begin with the name of a split",
        ),
        easy(
            "test[:5%](pct1_dropremainder)",
            "split `test`: pct1_dropremainder needs 100 rows or more, and there are 1; use \
            (closest)",
        ),
        with(
            json!({"split": "train"}),
            "data set `org/quiz`: `split: train` in dataset_kwargs leaves no split `test`",
        ),
        with(
            json!({"split": {"tests": "test"}}),
            "data set `org/quiz` has no split `test` (did you mean `tests`?); `split` \
            in dataset_kwargs has `tests`",
        ),
        with(
            json!({"data_file": "x"}),
            "`dataset_kwargs` has no key `data_file` (did you mean `data_files`?)",
        ),
        with(
            json!({"data_files": 3}),
            "`data_files` takes a file, a list of files, or either for each split, not 3",
        ),
        with(
            json!({"sep": "::"}),
            "`sep` takes one character of ASCII, not \"::\"",
        ),
        with(
            json!({"quoting": 2}),
            "`quoting` takes 0 or 1 (cells may be quoted) or 3 (quotes mean nothing), not 2",
        ),
        with(
            json!({"sample_by": "word"}),
            "`sample_by` takes line, paragraph or document, not \"word\"",
        ),
        with(
            json!({"encoding": "latin-1"}),
            "`encoding` takes utf-8, not \"latin-1\"",
        ),
    ]);
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
