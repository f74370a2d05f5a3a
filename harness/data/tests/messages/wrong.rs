//! Files that are not what their names say.

use serde_json::json;

use crate::{case, check};

#[test]
fn cards_and_shards() {
    check(&[
        case(
            "badcard",
            None,
            json!({}),
            "train",
            "DATA/badcard/README.md: the YAML at its head: Parser error: line 2 column 1: did not find \
            expected node content while parsing a flow node (line 2 column 1)",
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
    ]);
}

#[test]
fn json() {
    let of = |file: &str| json!({"data_files": format!("rows/{file}")});
    let field =
        |file: &str, field: &str| json!({"data_files": format!("rows/{file}"), "field": field});
    check(&[
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
    ]);
}

#[test]
fn csv() {
    let of = |file: &str| json!({"data_files": format!("rows/{file}")});
    check(&[
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
    ]);
}

#[test]
fn parquet_and_text() {
    let of = |file: &str| json!({"data_files": format!("rows/{file}")});
    check(&[
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
