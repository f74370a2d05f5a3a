//! Data sets from elsewhere: a hub that runs in this process, its cache, and files at addresses.

use std::fs;
use std::path::Path;

use crate::hub_server::{COMMIT, CONVERTED};
use crate::sources::{Online, scores};

const LOCAL: [&str; 5] = ["eval", "--model", "model", "--tasks", "tasks/choices.yaml"];
const AT_HUB: [&str; 5] = [
    "eval",
    "--model",
    "model",
    "--tasks",
    "hubtasks/choices.yaml",
];

/// A hub with nothing but this data set, in two shards, and a task on it.
fn online() -> Online {
    let online = Online::new();
    let rows = online.world.read("tasks/rows.jsonl");
    let half = rows.match_indices('\n').nth(5).map_or(0, |(at, _)| at + 1);
    let main = "hub/org/rows/main/data";
    online.world.write(
        &format!("{main}/test-00000-of-00002-a.jsonl"),
        &rows[..half],
    );
    online.world.write(
        &format!("{main}/test-00001-of-00002-b.jsonl"),
        &rows[half..],
    );
    online
        .world
        .write(&format!("{main}/train-00000-of-00001.jsonl"), &rows);
    asks(&online, "dataset_path: org/rows", "test");
    online
}

/// Writes the task with another data set and split.
fn asks(online: &Online, dataset: &str, split: &str) {
    let local = online.world.read("tasks/choices.yaml");
    let task = local
        .replace(
            "dataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}",
            dataset,
        )
        .replace("test_split: test", &format!("test_split: {split}"));
    online.world.write("hubtasks/choices.yaml", &task);
}

#[test]
fn a_split_is_downloaded_once_and_scores_as_its_rows() {
    let online = online();
    let want = scores(&online.run(&LOCAL, &[]));
    assert!(online.server.requests().is_empty(), "local rows ask nobody");
    assert_eq!(scores(&online.run(&AT_HUB, &[])), want);
    let asked = online.server.requests();
    assert_eq!(asked[0], "/api/datasets/org/rows/revision/main");
    let file = format!("/datasets/org/rows/resolve/{COMMIT}/data/test-00001-of-00002-b.jsonl");
    assert!(asked.contains(&file), "{asked:?}");
    assert!(
        !asked.iter().any(|path| path.contains("train")),
        "nobody asked for it: {asked:?}"
    );
    let cache = online.world.path("home/hub/datasets--org--rows");
    assert_eq!(fs::read_to_string(cache.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(scores(&online.run(&AT_HUB, &[])), want);
    assert_eq!(
        online.server.requests(),
        ["/api/datasets/org/rows/revision/main"]
    );
    let offline = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(scores(&online.run(&AT_HUB, &offline)), want);
    let away = online.run(&AT_HUB, &[("HF_ENDPOINT", "http://127.0.0.1:9")]);
    assert!(
        away.stderr.contains("http://127.0.0.1:9 cannot be reached"),
        "{}",
        away.stderr
    );
    assert_eq!(scores(&away), want);
    asks(&online, "dataset_path: org/rows", "train");
    online.fails(
        2,
        &AT_HUB,
        &offline,
        &["no split `train`", "the cache", "`test`"],
    );
    asks(&online, "dataset_path: org/rows", "test[:50%]+train[6:]");
    assert_eq!(scores(&online.run(&AT_HUB, &[])), want);
}

#[test]
fn what_the_hub_lacks_is_said() {
    let online = online();
    asks(&online, "dataset_path: org/rwos", "test");
    online.fails(
        2,
        &AT_HUB,
        &[],
        &["`org/rwos` not found", "--data-dir", "404"],
    );
    let offline = [("HF_HUB_OFFLINE", "1")];
    online.fails(
        2,
        &AT_HUB,
        &offline,
        &["`org/rwos` not found", "HF_HUB_OFFLINE"],
    );
    let away = [("HF_ENDPOINT", "http://127.0.0.1:9")];
    online.fails(
        1,
        &AT_HUB,
        &away,
        &["`org/rwos` not found", "http://127.0.0.1:9"],
    );
    asks(&online, "dataset_path: org/rows", "tset");
    online.fails(
        2,
        &AT_HUB,
        &[],
        &[
            "no split `tset` (did you mean `test`?)",
            "the hub (revision main)",
        ],
    );
    asks(
        &online,
        "dataset_path: org/rows\ndataset_name: extra",
        "test",
    );
    online.fails(2, &AT_HUB, &[], &["no config `extra`", "the hub"]);
    asks(
        &online,
        "dataset_path: org/rows\ndataset_kwargs: {revision: v9}",
        "test",
    );
    online.fails(2, &AT_HUB, &[], &["`org/rows` not found", "404"]);
}

#[test]
fn a_card_and_data_files_choose_among_the_files() {
    let online = online();
    let want = scores(&online.run(&LOCAL, &[]));
    asks(
        &online,
        "dataset_path: org/rows\ndataset_kwargs: {data_files: {eval: data/test-*}}",
        "eval",
    );
    assert_eq!(scores(&online.run(&AT_HUB, &[])), want);
    let card = "---\nconfigs:\n- config_name: all\n  data_files:\n  - split: every\n    path: data/train-*\n---\n";
    online.world.write("hub/org/rows/main/README.md", card);
    asks(
        &online,
        "dataset_path: org/rows\ndataset_name: all",
        "every",
    );
    assert_eq!(scores(&online.run(&AT_HUB, &[])), want);
}

#[test]
fn scripts_are_not_run_but_their_parquet_is_read() {
    let online = online();
    online.world.write("hub/org/made/main/made.py", "import os");
    let dataset = "dataset_path: org/made\ndataset_name: first";
    asks(&online, dataset, "test");
    online.fails(
        2,
        &AT_HUB,
        &[],
        &["made by the script made.py", "refs/convert/parquet"],
    );
    let folder = online.world.path("hub/org/made/converted/first/test");
    fs::create_dir_all(&folder).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/files/types.parquet");
    fs::copy(file, folder.join("0000.parquet")).unwrap();
    let task = "task: choices\ndataset_path: org/made\ndataset_name: first\ntest_split: test\noutput_type: \
                multiple_choice\ndoc_to_text: '{{timestamp_us}}'\ndoc_to_choice: [a, b]\ndoc_to_target: 1\n";
    online.world.write("hubtasks/choices.yaml", task);
    scores(&online.run(&AT_HUB, &[]));
    let cached =
        format!("home/hub/datasets--org--made/snapshots/{CONVERTED}/first/test/0000.parquet");
    assert!(online.world.path(&cached).is_file());
    scores(&online.run(&AT_HUB, &[("HF_HUB_OFFLINE", "1")]));
}

#[test]
fn files_at_addresses_are_asked_for_by_their_tag() {
    let online = online();
    let want = scores(&online.run(&LOCAL, &[]));
    online.world.write(
        "hub/files/rows.jsonl",
        &online.world.read("tasks/rows.jsonl"),
    );
    let address = format!("{}/files/rows.jsonl", online.server.endpoint);
    asks(
        &online,
        &format!("dataset_path: json\ndataset_kwargs: {{data_files: {{test: '{address}'}}}}"),
        "test",
    );
    let offline = [("HF_HUB_OFFLINE", "1")];
    online.fails(2, &AT_HUB, &offline, &[&address, "HF_HUB_OFFLINE"]);
    for _ in 0..2 {
        assert_eq!(scores(&online.run(&AT_HUB, &[])), want);
        assert_eq!(online.server.requests(), ["/files/rows.jsonl"]);
    }
    assert_eq!(scores(&online.run(&AT_HUB, &offline)), want);
    let stored = online.world.find("home/hub/downloads", "rows", ".jsonl");
    assert_eq!(stored.len(), 1);
    asks(
        &online,
        &format!("dataset_path: json\ndataset_kwargs: {{data_files: {{test: '{address}x'}}}}"),
        "test",
    );
    online.fails(2, &AT_HUB, &[], &["rows.jsonlx", "404"]);
}
