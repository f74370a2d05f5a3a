//! The twelve faults of a method, its process and its machine: what the user reads, the exit code, and what is kept. They are the
//! table of docs/faults.md, which is checked against them; `HARNESS_WRITE_DOCS=1` writes it.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::fault_cases::{FAULTS, Fault, SOME};
use crate::world::{Outcome, World, fixture};

/// A run of four steps.
fn arguments(library: &str, settings: &[&str]) -> Vec<String> {
    let words =
        "unlearn --model model --forget tasks/facts.yaml --output-path out --steps 4 --method";
    let words = words.split(' ').chain([library]);
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    words.chain(settings).map(str::to_owned).collect()
}

/// A world with a fixture under a name that a message can show.
fn world_with(library: &str) -> (World, String) {
    let world = World::new();
    let name = format!("./lib{library}.so");
    std::fs::copy(fixture(library), world.path(&name)).unwrap();
    (world, name)
}

fn suffer(fault: &Fault, world: &World, library: &str) -> Outcome {
    let arguments = arguments(library, fault.settings);
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if !fault.name.starts_with("full disk") {
        arguments.extend(fault.arguments);
        return world.harness(&arguments);
    }
    // Blocks of 512 bytes.
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"",
        fault.arguments[0]
    );
    let shell = ["-c", &script, env!("CARGO_BIN_EXE_harness")];
    let arguments = [&shell[..], &arguments].concat();
    Outcome::of(world.command("sh", &arguments).output().unwrap())
}

/// Lines of the log, each of which must be whole.
fn logged(world: &World, folder: &str) -> usize {
    let log = world.path(folder).join("unlearn.jsonl");
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let steps: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    steps.len()
}

/// Runs a fault, checks everything about it, and gives its row.
fn check(fault: &Fault) -> String {
    let (world, library) = world_with(fault.library);
    let outcome = suffer(fault, &world, &library);
    let name = fault.name;
    assert_eq!(outcome.code, fault.code, "{name}: {}", outcome.stderr);
    let succeeded = fault.code == 0;
    let said = if succeeded {
        outcome.stderr.trim().to_owned()
    } else {
        let errors = outcome.errors();
        assert_eq!(errors.len(), 1, "{name}: {}", outcome.stderr);
        errors[0].to_owned()
    };
    for part in fault.says {
        assert!(said.contains(part), "{name}: no {part:?} in {said}");
    }
    assert_eq!(world.path("out").exists(), succeeded, "{name}");
    let folder = if succeeded { "out" } else { "out.partial" };
    let logged = logged(&world, folder);
    let expected = if fault.kept == SOME {
        logged.max(1)
    } else {
        fault.kept
    };
    assert_eq!(logged, expected, "{name}: {said}");
    assert!(
        !world.path("out.partial/model.safetensors").exists(),
        "{name}: half a model"
    );
    assert_eq!(
        world.path("out.partial").exists(),
        !succeeded && fault.kept > 0,
        "{name}"
    );
    let kept = match (succeeded, fault.kept) {
        (true, _) => "the model".to_owned(),
        (false, 0) => "nothing to keep".to_owned(),
        (false, SOME) => "the log of the steps before".to_owned(),
        (false, 1) => "the log of 1 step".to_owned(),
        (false, steps) => format!("the log of {steps} steps"),
    };
    row(name, &said, &fault.code.to_string(), &kept)
}

fn row(name: &str, said: &str, code: &str, kept: &str) -> String {
    let said = match said {
        "" => "nothing".to_owned(),
        said => format!("`{}`", without_numbers(said).replace('`', "'")),
    };
    format!("| {name} | {said} | {code} | {kept} |\n")
}

/// A message without what differs from run to run: places in the library's source, handles and sizes.
fn without_numbers(said: &str) -> String {
    let mut words: Vec<&str> = said.split(' ').collect();
    for at in 0..words.len() {
        let follows = |word: &str| words.get(at + 1).is_some_and(|next| next.starts_with(word));
        if words[at].starts_with("plugins/") {
            words[at] = "src/lib.rs:…)";
        } else if words[at].starts_with("(0x") {
            words[at] = "(0x…):";
        } else if follows("MiB") && at > 0 && words[at - 1] == "held" {
            words[at] = "…";
        }
    }
    words.join(" ")
}

/// A run that hangs in its second step, with the process that holds the library.
fn hanging(world: &World, library: &str) -> (Child, String) {
    let arguments = arguments(library, &["fault=loop"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parent = world
        .command(env!("CARGO_BIN_EXE_harness"), &arguments)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the first step", || logged(world, "out.partial") == 1);
    let id = parent.id();
    let children = std::fs::read_dir(format!("/proc/{id}/task"))
        .unwrap()
        .flatten();
    let children: String = children
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .collect();
    let child = children.trim().to_owned();
    assert!(child.parse::<u32>().is_ok(), "one child: {children:?}");
    (parent, child)
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_mins(1), "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(process: &str) {
    let status = std::process::Command::new("kill")
        .args(["-9", process])
        .status();
    assert!(status.unwrap().success());
}

fn killed_child() -> String {
    let (world, library) = world_with("fatal");
    let (parent, child) = hanging(&world, &library);
    kill(&child);
    let outcome = Outcome::of(parent.wait_with_output().unwrap());
    assert_eq!(outcome.code, 1);
    let said = outcome.errors()[0];
    assert!(said.contains("was killed (signal 9) in step 2"), "{said}");
    assert_eq!(logged(&world, "out.partial"), 1);
    row("`kill -9` of the child", said, "1", "the log of 1 step")
}

fn killed_parent() -> String {
    let (world, library) = world_with("fatal");
    let (mut parent, child) = hanging(&world, &library);
    kill(&parent.id().to_string());
    parent.wait().unwrap();
    let is_running = || {
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        // A dead one may wait for somebody to ask what became of it.
        !state.is_empty() && !state.contains(") Z ")
    };
    let start = Instant::now();
    wait_until("end of the child", || !is_running());
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(logged(&world, "out.partial"), 1);
    row(
        "`kill -9` of `harness`",
        "Killed",
        "137",
        "the log of 1 step; the child ends by itself",
    )
}

fn panic_in_describe() -> String {
    let (world, library) = world_with("fatal");
    let arguments = arguments(&library, &[]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = world.harness_with(&arguments, &[("HARNESS_FIXTURE_IN_DESCRIBE", "panic")]);
    assert_eq!(outcome.code, 2);
    let said = outcome.errors()[0];
    assert!(said.contains("panicked in `describe`"), "{said}");
    row("panic in `describe`", said, "2", "nothing to keep")
}

#[test]
fn each_fault_is_told_and_what_can_be_kept_is() {
    let mut rows = panic_in_describe();
    rows.extend(FAULTS.iter().map(check));
    rows.push_str(&killed_child());
    rows.push_str(&killed_parent());
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md");
    let text = std::fs::read_to_string(&document).unwrap();
    let head = "| --- | --- | --- | --- |\n";
    let (before, after) = text.split_once(head).unwrap();
    let after = after.split_once("\n\n").map_or("", |(_, after)| after);
    let wanted = format!("{before}{head}{rows}\n{after}");
    if std::env::var_os("HARNESS_WRITE_DOCS").is_some() {
        std::fs::write(&document, wanted).unwrap();
    } else {
        assert_eq!(text, wanted, "docs/faults.md");
    }
}

#[test]
fn a_list_of_methods_survives_its_libraries() {
    let (world, _) = world_with("fatal");
    std::fs::create_dir(world.path("methods")).unwrap();
    let name = "methods/libharness_method_fatal.so";
    std::fs::copy(fixture("fatal"), world.path(name)).unwrap();
    let arguments = [
        "methods",
        "list",
        "--method-path",
        "methods",
        "--timeout",
        "4",
    ];
    for (fault, part) in [
        ("panic", "told to panic"),
        ("segfault", "segmentation fault"),
        ("loop", "came no further for 4 seconds"),
    ] {
        let outcome = world.harness_with(&arguments, &[("HARNESS_FIXTURE_IN_DESCRIBE", fault)]);
        assert_eq!(outcome.code, 0, "{fault}: {}", outcome.stderr);
        let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
        let text = words.join(" ");
        assert!(
            text.contains(part) && text.contains("npo"),
            "{fault}: {text}"
        );
    }
}

#[test]
fn what_a_method_prints_is_no_event() {
    let (world, library) = world_with("fatal");
    let outcome = world.harness(
        &arguments(&library, &["fault=chatter"])
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("libfatal: half a line"),
        "{}",
        outcome.stderr
    );
    assert_eq!(logged(&world, "out"), 4);
}
