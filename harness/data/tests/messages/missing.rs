//! Data sets, configs, splits and files that are not there, and what is asked for in words that mean nothing.

use serde_json::json;

use crate::{case, check};

#[test]
fn data_sets_configs_and_splits() {
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
    ]);
}

#[test]
fn files_of_a_data_set() {
    check(&[
        case(
            "card",
            Some("one"),
            json!({}),
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
    ]);
}

#[test]
fn files_of_a_builder() {
    check(&[
        case(
            "csv",
            None,
            json!({}),
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
fn split_expressions() {
    let easy = |split, said| case("org/quiz", Some("easy"), json!({}), split, said);
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
    ]);
}

#[test]
fn dataset_kwargs() {
    let with = |kwargs, said| case("org/quiz", Some("easy"), kwargs, "test", said);
    check(&[
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
