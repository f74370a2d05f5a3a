//! `--use_cache` under several processes, some of them killed: no answer is lost, wrong or doubled.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use crate::world::World;

const DRAWN: &str = "task: drawn
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: \"Q: {{question}}\\nA:\"
doc_to_target: answer
generation_kwargs: {do_sample: true, temperature: 1.0, max_gen_toks: 12, until: [\"\\n\"]}
repeats: 3
";

const EVAL: [&str; 6] = [
    "eval",
    "--model",
    "model",
    "--tasks",
    "tasks/choices.yaml,tasks/drawn.yaml",
    "-s",
];

fn world() -> World {
    let world = World::new();
    world.write("tasks/drawn.yaml", DRAWN);
    // Enough work to be killed in the middle of.
    let rows = world.read("tasks/rows.jsonl");
    let rows: String = (0..40)
        .map(|i| rows.replace("thing", &format!("thing {i}-")))
        .collect();
    world.write("tasks/rows.jsonl", &rows);
    world
}

/// Samples by task, `choices` before `drawn`.
type Samples = Vec<Vec<Value>>;

/// All samples of a run under further options, and what it said.
fn samples(world: &World, options: &[&str]) -> (Samples, String) {
    let outcome = world.succeeds(&[&EVAL[..], options, &["-o", "out"]].concat());
    let samples = samples_in(world, "out");
    std::fs::remove_dir_all(world.path("out")).unwrap();
    (samples, outcome.stderr)
}

fn samples_in(world: &World, folder: &str) -> Samples {
    let mut files = world.find(folder, "samples_", ".jsonl");
    files.sort();
    let read = |file| {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    files.into_iter().map(read).collect()
}

/// Whether values are the same but for the rounding of numbers, which depends on what was asked together.
fn same<'a>(
    a: impl IntoIterator<Item = &'a Value>,
    b: impl IntoIterator<Item = &'a Value>,
) -> bool {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let equal = |a: &Value, b: &Value| match (a, b) {
        (Value::Array(a), Value::Array(b)) => same(a, b),
        (Value::Object(a), Value::Object(b)) => {
            a.keys().eq(b.keys()) && same(a.values(), b.values())
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-5 * f64::max(1.0, a.abs()),
            _ => a == b,
        },
    };
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if equal(a, b) => {}
            _ => return false,
        }
    }
}

fn all_same(a: &Samples, b: &Samples) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

fn start(world: &World, number: usize) -> Child {
    let out = format!("out{number}");
    Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(EVAL)
        .args(["--use_cache", "kept", "-o", &out])
        .current_dir(world.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Answers in the file, which must be whole.
fn answers(world: &World) -> usize {
    let file = Connection::open(world.path("kept.db")).unwrap();
    let check = file.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_eq!(check.unwrap(), "ok");
    let count = |question: &str| {
        file.query_row(question, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    // A process may be killed before it has made the table.
    match count("SELECT count(*) FROM sqlite_master WHERE name = 'answers'") {
        0 => 0,
        _ => usize::try_from(count("SELECT count(*) FROM answers")).unwrap(),
    }
}

#[test]
fn processes_that_share_and_die() {
    let world = world();
    let (plain, _) = samples(&world, &[]);
    let requests = 480 * 4 + 480 * 3;
    let mut killed_in_the_middle = false;
    for round in 0..6_u64 {
        let mut children: Vec<Child> = (0..3).map(|number| start(&world, number)).collect();
        std::thread::sleep(Duration::from_millis(60 + 90 * round));
        for child in &mut children {
            // SIGKILL on Unix.
            child.kill().unwrap();
            child.wait().unwrap();
        }
        if world.path("kept.db").exists() {
            let kept = answers(&world);
            killed_in_the_middle |= (1..requests).contains(&kept);
        }
    }
    if !killed_in_the_middle {
        eprintln!("no process was killed between its first answer and its last");
    }
    for number in 0..3 {
        // A process may have come to its end before it was killed.
        let _ = std::fs::remove_dir_all(world.path(&format!("out{number}")));
    }
    let children: Vec<Child> = (0..3).map(|number| start(&world, number)).collect();
    for child in children {
        let outcome = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&outcome.stderr);
        assert!(outcome.status.success(), "{said}");
    }
    assert_eq!(answers(&world), requests);
    let (from_cache, said) = samples(&world, &["--use_cache", "kept"]);
    assert!(
        said.contains(&format!("{requests} of {requests} answers")),
        "{said}"
    );
    assert!(all_same(&from_cache, &plain), "the cache changes no sample");
    for number in 0..3 {
        let finished = samples_in(&world, &format!("out{number}"));
        assert!(all_same(&finished, &plain), "process {number}");
    }
}

#[test]
fn drawn_texts_belong_to_their_seed() {
    let world = world();
    let few = ["--limit", "4", "--use_cache", "kept"];
    let (first, said) = samples(&world, &few);
    assert!(said.contains("0 of 28 answers"), "{said}");
    // More documents: the same beginning, and texts as without a cache.
    let (all, said) = samples(&world, &["--limit", "6", "--use_cache", "kept"]);
    assert!(said.contains("28 of 42 answers"), "{said}");
    assert!(same(&all[1][..4], &first[1]));
    assert!(all_same(&samples(&world, &["--limit", "6"]).0, &all));
    let (other, said) = samples(&world, &[&few[..], &["--seed", "8"]].concat());
    assert!(said.contains("16 of 28 answers"), "scored ones: {said}");
    assert!(same(&other[0], &first[0]) && !same(&other[1], &first[1]));
}
