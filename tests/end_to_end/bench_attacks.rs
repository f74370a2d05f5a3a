//! An experiment with every kind of attacker: between its anchors, not repeated, the same on any number of threads.

use serde_json::{Value, json};

use crate::relearn_campaign::trained_world;
use crate::world::World;

const EXPERIMENT: &str = "model: original
oracle: oracle
forget: tasks/facts.yaml
paraphrased: tasks/reworded.yaml
retain: tasks/others.yaml
utility: []
methods: [grad_ascent, grad_diff]
unlearn: {steps: 8, batch_size: 3, learning_rates: [4e-3]}
questions: 0
relearn:
  learning_rates: [1e-2, 1e-3]
  max_steps: 24
  batch_size: 3
  data: [forget, related, unrelated]
  unrelated: tasks/rhymes.yaml
  shots: 2
";

/// An original that knows facts and others, an oracle that knows the others alone, and what an experiment on them needs.
fn world() -> World {
    let world = trained_world();
    let facts = world.read("tasks/facts.yaml");
    let reworded = facts.replace("task: facts", "task: reworded");
    let reworded = reworded.replace("Q: {{question}}", "Say: {{question}}");
    world.write("tasks/reworded.yaml", &reworded);
    let rhymes = facts.replace("task: facts", "task: rhymes");
    world.write(
        "tasks/rhymes.yaml",
        &rhymes.replace("rows.jsonl", "rhymes.jsonl"),
    );
    let rows = (0..6).map(|i| {
        let row = json!({"question": format!("{i} goes with?"), "answer": format!("Heaven {i}.")});
        format!("{row}\n")
    });
    world.write("tasks/rhymes.jsonl", &rows.collect::<String>());
    world.write("e.yaml", EXPERIMENT);
    world
}

fn read(world: &World, file: &str) -> Value {
    serde_json::from_str(&world.read(file)).unwrap()
}

/// Samples, and whether they were enough.
fn time(budget: &Value) -> (f64, bool) {
    (
        budget["samples"].as_f64().unwrap(),
        budget["is_reached"].as_bool().unwrap(),
    )
}

/// For comparing: what was never reached takes longest.
fn order((samples, is_reached): (f64, bool)) -> f64 {
    if is_reached { samples } else { f64::INFINITY }
}

#[test]
fn every_attacker_is_tried_and_the_best_counts() {
    let world = world();
    let run = |output: &str, threads: &str| {
        let place = ["--output-path", output, "--threads", threads];
        world.succeeds(&[&["bench", "e.yaml"][..], &place].concat())
    };
    let first = run("run", "2");
    anchors_are_at_their_ends(&read(&world, "run/scorecard.json"));
    for subject in read(&world, "run/experiment.json")["subjects"]
        .as_array()
        .unwrap()
    {
        the_best_is_the_fastest(subject);
    }
    // Each of five models was asked, rounded twice, shown examples, attacked by six, and repaired.
    let stages = world.find("run/stages", "relearn-", ".json");
    assert_eq!(stages.len(), 5 * (1 + 2 + 1 + 6 + 1));

    let bytes = |name: &str| std::fs::read(world.path(name)).unwrap();
    let (card, table) = (bytes("run/scorecard.json"), bytes("run/attacks.parquet"));
    assert!(table.starts_with(b"PAR1"));
    assert_eq!(
        run("run", "2").stdout,
        first.stdout,
        "nothing is done twice"
    );
    std::fs::remove_file(world.path("run/attacks.parquet")).unwrap();
    world.succeeds(&["report", "run"]);
    assert!(bytes("run/attacks.parquet") == table);
    run("alone", "1");
    assert!(bytes("alone/scorecard.json") == card && bytes("alone/attacks.parquet") == table);
}

fn anchors_are_at_their_ends(card: &Value) {
    let standing = |name: &str| {
        let mut rows = card["rows"].as_array().unwrap().iter();
        &rows.find(|row| row["name"] == name).unwrap()["standing"]
    };
    let (original, oracle) = (standing("original"), standing("oracle"));
    for at in ["half", "nine_tenths"] {
        assert_eq!(time(&original["relearning"][at]), (0.0, true), "{at}");
        assert_eq!(oracle["relearning"][at]["ratio"], 1.0, "{oracle}");
    }
    let number = |standing: &Value, key: &str| standing["attacks"][key].as_f64().unwrap();
    for (standing, end) in [(original, 1.0), (oracle, 0.0)] {
        for key in ["before", "few_shot"] {
            assert!(
                (number(standing, key) - end).abs() < 1e-12,
                "{key}: {standing}"
            );
        }
        assert!((number(standing, "resistance") - (1.0 - end)).abs() < 1e-12);
        for bits in ["4", "8"] {
            let rho = standing["attacks"]["rounded"][bits].as_f64().unwrap();
            assert!((rho - end).abs() < 1e-12, "{bits} bits");
        }
    }
    let control = &original["attacks"]["control"];
    assert_eq!(control["before"], 1.0);
    assert_eq!(control["is_damaged"], false);
    assert_eq!(
        time_of(&original["attacks"]["control"]["repair"]),
        (0.0, true)
    );
    assert_eq!(original["attacks"]["attackers"], 6);
}

/// The same of the card's numbers.
fn time_of(bounded: &Value) -> (f64, bool) {
    (
        bounded["value"].as_f64().unwrap(),
        bounded["is_reached"].as_bool().unwrap(),
    )
}

fn the_best_is_the_fastest(subject: &Value) {
    let recovery = &subject["outcome"]["measured"]["recovery"];
    let attackers = recovery["attackers"].as_array().unwrap();
    assert_eq!(attackers.len(), 6, "{recovery}");
    let own = order(time(&recovery["nine_tenths"]));
    let others = attackers
        .iter()
        .map(|attacker| order(time(&attacker["way_back"]["nine_tenths"])));
    let fastest = others.fold(f64::INFINITY, f64::min);
    assert!(own <= fastest, "{}: {own} > {fastest}", subject["row"]);
    let named = |attacker: &&Value| attacker["attacker"] == recovery["best"];
    let best = attackers.iter().find(named).unwrap();
    assert_eq!(best["way_back"]["nine_tenths"], recovery["nine_tenths"]);
    for point in best["way_back"]["points"].as_array().unwrap() {
        let samples = point["samples"].as_u64().unwrap();
        assert_eq!(samples, 3 * point["steps"].as_u64().unwrap());
        assert!(samples == 0 || point["flops"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn attackers_without_anything_to_train_on_are_refused_before_anything_is_made() {
    let world = world();
    for (from, to, said) in [
        ("  unrelated: tasks/rhymes.yaml\n", "", "unrelated: TASK"),
        (
            "retain: tasks/others.yaml\n",
            "",
            "neither `related` nor `retain`",
        ),
        ("[forget, related, unrelated]", "[forgt]", "forgt"),
        ("[forget, related, unrelated]", "[]", "`data`"),
        ("shots: 2", "shots: 0", "`shots`"),
        ("shots: 2", "shot: 2", "shots"),
        ("shots: 2", "untrained: [magic]", "few_shot"),
        (
            "  batch_size: 3\n",
            "  batch_size: 7\n",
            "6 of tasks/rhymes.yaml",
        ),
        (
            "  batch_size: 3\n",
            "  batch_size: 10\n",
            "9 of tasks/others.yaml",
        ),
        ("tasks/rhymes.yaml", "tasks/reworded.yaml", "in common"),
    ] {
        let changed = EXPERIMENT.replace(from, to);
        assert_ne!(changed, EXPERIMENT);
        world.write(
            "bad.yaml",
            &changed.replace(
                "methods: [grad_ascent, grad_diff]",
                "methods: [grad_ascent]",
            ),
        );
        world.fails(2, &["bench", "bad.yaml", "--output-path", "bad"], &[said]);
        assert!(!world.path("bad/models").exists(), "{said}");
    }
}
