//! What a user sees of bad task files: message, line and caret, each compared with `bad_yaml.txt` beside this file. With
//! `HARNESS_BLESS=1` in the environment that file is written anew, to be read before it is kept.

#![allow(clippy::unwrap_used, reason = "a test: panics are failures")]

mod cases;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use harness_data::DataSource;
use harness_task::{Request, RequestOptions, Response, Task, TaskError, TaskLibrary};

use crate::cases::{CASES, ROWS};

/// Loads, asks and scores what is called `mine` in a folder; the first error.
fn run(folder: &Path) -> Result<(), TaskError> {
    let library = TaskLibrary::open(&[folder.to_owned()])?;
    for spec in library.resolve(&["mine".to_owned()])? {
        let task = Task::load(spec, &DataSource::default())?;
        let requests = task.requests(&RequestOptions::default())?;
        let requested = requests.iter().flat_map(|document| &document.requests);
        let responses: Vec<Response> = requested.map(response).collect();
        task.score(&requests, &responses)?;
    }
    Ok(())
}

fn response(request: &Request) -> Response {
    match request {
        Request::GenerateUntil { .. } => Response::GenerateUntil {
            text: "the answer is 4".to_owned(),
        },
        _ => Response::Loglikelihood {
            logprob: -1.0,
            is_greedy: false,
        },
    }
}

fn seen(files: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.jsonl"), ROWS).unwrap();
    let mut name = "mine.yaml";
    let mut rest = files;
    // `=== NAME` begins another file.
    while let Some((text, after)) = rest.split_once("=== ") {
        fs::write(folder.path().join(name), text).unwrap();
        (name, rest) = after.split_once('\n').unwrap();
    }
    fs::write(folder.path().join(name), rest).unwrap();
    let error = run(folder.path()).expect_err(files);
    let mut seen = error.to_string();
    if let Some(excerpt) = error.excerpt() {
        write!(seen, "\n{excerpt}").unwrap();
    }
    seen.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn bad_tasks_are_explained_as_before() {
    let mut text = String::new();
    for (name, files) in CASES {
        write!(text, "## {name}\n{}\n\n", seen(files)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seen/bad_yaml.txt");
    if std::env::var_os("HARNESS_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    for (ours, kept) in text.split("## ").zip(kept.split("## ")) {
        assert_eq!(ours, kept);
    }
    assert_eq!(text.len(), kept.len());
}
