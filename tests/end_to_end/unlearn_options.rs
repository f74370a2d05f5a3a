//! What `harness unlearn` takes besides its method and its loop: roles, a file of options, a dry run, event files; and its record.

use serde_json::Value;

use crate::world::World;

const COMMON: &str = "unlearn --model model --forget tasks/facts.yaml --retain tasks/others.yaml --batch-size 2 --lr 1e-2";

/// The command line of a run of two steps.
fn arguments<'a>(method: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = COMMON.split(' ').collect::<Vec<_>>();
    let own = ["--method", method, "--output-path", output];
    let steps = ["--steps", "2"];
    [&common[..], &own, &steps, more].concat()
}

/// The forget set's prompts with other answers.
fn with_alternates(world: &World) {
    let facts = world.read("tasks/facts.yaml");
    let alternates = facts
        .replace("task: facts", "task: alternates")
        .replace("{{answer}}", "It has no colour.");
    world.write("tasks/alternates.yaml", &alternates);
}

fn record(world: &World, output: &str) -> Value {
    serde_json::from_str(&world.read(&format!("{output}/unlearn.json"))).unwrap()
}

#[test]
fn other_answers_and_general_documents_are_tasks_of_their_own() {
    let world = World::new();
    with_alternates(&world);
    let alternate = ["--alternate", "tasks/alternates.yaml"];
    world.succeeds(&arguments("dpo", "refusals", &[]));
    world.succeeds(&arguments("dpo", "alternates", &alternate));
    let losses = |output: &str| world.read(&format!("{output}/unlearn.jsonl"));
    assert_ne!(losses("refusals"), losses("alternates"));
    assert_eq!(
        record(&world, "alternates")["data"]["alternate"]["documents"],
        12
    );
    // Where the general documents are the retain set's, naming them changes nothing.
    world.succeeds(&arguments("llmu", "one", &[]));
    world.succeeds(&arguments(
        "llmu",
        "both",
        &["--normal", "tasks/others.yaml"],
    ));
    let weights = |output: &str| std::fs::read(world.path(output).join("model.safetensors"));
    assert!(weights("one").unwrap() == weights("both").unwrap());
    world.succeeds(&arguments(
        "llmu",
        "other",
        &["--normal", "tasks/facts.yaml"],
    ));
    assert!(weights("one").unwrap() != weights("other").unwrap());
}

#[test]
fn other_answers_belong_to_the_prompts() {
    let world = World::new();
    with_alternates(&world);
    world.fails(
        2,
        &arguments("dpo", "out", &["--alternate", "tasks/others.yaml"]),
        &[
            "--alternate tasks/others.yaml",
            "document 0",
            "another prompt",
        ],
    );
    let rows = world.read("tasks/rows.jsonl");
    let fewer: String = rows.split_inclusive('\n').take(11).collect();
    world.write("tasks/fewer.jsonl", &fewer);
    let task = world.read("tasks/alternates.yaml");
    world.write(
        "tasks/fewer.yaml",
        &task.replace("rows.jsonl", "fewer.jsonl"),
    );
    world.fails(
        2,
        &arguments("dpo", "out", &["--alternate", "tasks/fewer.yaml"]),
        &["--alternate tasks/fewer.yaml", "11 documents for the 12"],
    );
    world.write("no.txt", "No.\n");
    world.fails(
        2,
        &arguments(
            "dpo",
            "out",
            &[
                "--alternate",
                "tasks/alternates.yaml",
                "--refusals",
                "no.txt",
            ],
        ),
        &["--alternate", "--refusals"],
    );
}

#[test]
fn options_come_from_a_file() {
    let world = World::new();
    let text = "model: model\nmethod: npo\nset: {beta: 0.2}\nforget: tasks/facts.yaml\nretain: tasks/others.yaml\n\
                output_path: from_file\nbatch_size: 2\nlr: 1e-2\nsteps: 7\n";
    world.write("run.yaml", text);
    world.succeeds(&["unlearn", "--config", "run.yaml", "--steps", "2"]);
    world.succeeds(&arguments("npo", "written", &["--set", "beta=0.2"]));
    let weights = |output: &str| std::fs::read(world.path(output).join("model.safetensors"));
    assert!(weights("from_file").unwrap() == weights("written").unwrap());
    world.write("wrong.yaml", &text.replace("batch_size", "batchsize"));
    world.fails(
        2,
        &["unlearn", "--config", "wrong.yaml"],
        &["wrong.yaml:7", "batchsize", "batch-size"],
    );
}

#[test]
fn a_dry_run_prints_the_plan_and_leaves_nothing() {
    let world = World::new();
    let before = world.find(".", "", "").len();
    let outcome = world.succeeds(&arguments(
        "npo",
        "out",
        &["--dry-run", "--set", "beta=0.3"],
    ));
    let parts = [
        "npo",
        "beta=0.3",
        "facts.yaml: 12 documents",
        "others.yaml: 12 documents",
        "the frozen original",
        "2 of 2 forget documents",
        "every weight",
        "Memory",
        "floating-point operations",
    ];
    for part in parts {
        assert!(
            outcome.stdout.contains(part),
            "no {part} in {}",
            outcome.stdout
        );
    }
    assert_eq!(world.find(".", "", "").len(), before);
    let outcome = world.succeeds(&arguments("npo", "out", &["--dry-run", "--lora-rank", "2"]));
    assert!(
        outcome.stdout.contains("an adapter of rank 2"),
        "{}",
        outcome.stdout
    );
    let too_many = ["--dry-run", "--batch-size", "50"];
    let common = arguments("npo", "out", &[]);
    let without_batch: Vec<&str> = common
        .iter()
        .copied()
        .filter(|word| *word != "--batch-size")
        .collect();
    let at = common
        .iter()
        .position(|word| *word == "--batch-size")
        .unwrap();
    let own = [
        &without_batch[..at],
        &without_batch[at + 1..],
        &too_many[..],
    ]
    .concat();
    world.fails(2, &own, &["a batch of 50", "12 documents"]);
}

/// Records of an event file: their contents, checked to be cut where the lengths say.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        found.push(&rest[12..12 + length]);
        rest = &rest[16 + length..];
    }
    found
}

#[test]
fn event_files_hold_the_steps() {
    let world = World::new();
    world.succeeds(&arguments("npo", "out", &["--tensorboard"]));
    world.succeeds(&arguments(
        "npo",
        "runs/second",
        &["--tensorboard", "events"],
    ));
    for folder in ["out/tensorboard", "events/second"] {
        let files = world.find(folder, "events.out.tfevents.", ".harness");
        let bytes = std::fs::read(files.first().unwrap()).unwrap();
        let records = records(&bytes);
        assert_eq!(records.len(), 3, "{folder}: a version and two steps");
        let holds = |record: &[u8], text: &str| {
            record
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        assert!(holds(records[0], "brain.Event:2"));
        assert!(holds(records[2], "loss") && holds(records[2], "parts/forget_loss"));
    }
}

#[test]
fn a_record_tells_what_the_run_was() {
    let world = World::new();
    for output in ["a", "b"] {
        world.succeeds(&arguments("npo", output, &["--set", "beta=0.25"]));
    }
    let (mut a, mut b) = (record(&world, "a"), record(&world, "b"));
    assert_eq!(a["method"]["id"], "npo");
    assert_eq!(a["method"]["options"]["beta"], 0.25);
    assert_eq!(
        a["method"]["options"]["gamma"], 1.0,
        "defaults are told, too"
    );
    assert_eq!(a["method"]["library_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(a["data"]["forget"]["documents"], 12);
    assert_eq!(a["outcome"]["steps"], 2);
    assert!(a["cost"]["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    for record in [&mut a, &mut b] {
        assert!(record.as_object_mut().unwrap().remove("cost").is_some());
    }
    assert_eq!(a, b, "but for its cost, the same run has the same record");
}
