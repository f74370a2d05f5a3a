//! `harness relearn` as a campaign: anchors at their ends, records taken over, the same bytes on any number of threads.

use serde_json::Value;

use crate::world::World;

const CAMPAIGN: [&str; 17] = [
    "relearn",
    "--original",
    "original",
    "--oracle",
    "oracle",
    "--unlearned",
    "out",
    "--forget",
    "tasks/facts.yaml",
    "--related",
    "tasks/others.yaml",
    "--lr",
    "1e-2",
    "--max-steps",
    "24",
    "--batch-size",
    "3",
];

/// A world with an original that knows facts and others, an oracle that knows the others alone, and an unlearned model.
pub(crate) fn trained_world() -> World {
    let world = World::new();
    let common = ["--epochs", "12", "--lr", "1e-2", "--batch-size", "6"];
    let original = [
        "finetune",
        "--model",
        "model",
        "--task",
        "tasks/facts.yaml",
        "tasks/others.yaml",
    ];
    world.succeeds(&[&original[..], &common, &["--output-path", "original"]].concat());
    let oracle = [
        "finetune",
        "--model",
        "model",
        "--task",
        "tasks/others.yaml",
    ];
    world.succeeds(&[&oracle[..], &common, &["--output-path", "oracle"]].concat());
    world.succeeds(&[
        "unlearn",
        "--model",
        "original",
        "--method",
        "grad_diff",
        "--forget",
        "tasks/facts.yaml",
        "--retain",
        "tasks/others.yaml",
        "--steps",
        "10",
        "--lr",
        "2e-3",
        "--output-path",
        "out",
    ]);
    world
}

fn record(world: &World, run: &str) -> Value {
    serde_json::from_str(&world.read(&format!("{run}/relearn.json"))).unwrap()
}

fn loss_curve(record: &Value, model: usize, attacker: usize) -> &Value {
    let curves = record["models"][model]["verdict"]["attackers"][attacker]["curves"].as_array();
    let is_loss = |curve: &&Value| curve["yardstick"] == "loss" && curve["questions"] == "held_out";
    curves.unwrap().iter().find(is_loss).unwrap()
}

#[test]
fn a_campaign_stands_between_its_anchors_and_is_not_repeated() {
    let world = trained_world();
    let more = [
        "--grid",
        "few",
        "--attacks",
        "rounding,few-shot",
        "--shots",
        "2",
    ];
    let run = |output: &str, threads: &str| {
        let place = ["--output-path", output, "--threads", threads];
        world
            .succeeds(&[&CAMPAIGN[..], &more, &place].concat())
            .stdout
    };
    let shown = run("run", "2");
    for part in [
        "T.9 ÷ oracle",
        "8-bit, held out",
        "2-shot, held out",
        "█",
        "≥ ",
        "of 6",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let first = record(&world, "run");
    assert_eq!(
        first["documents"],
        serde_json::json!({"trained": 9, "held_out": 3})
    );
    let start = |model: usize| {
        loss_curve(&first, model, 0)["points"][0]["recovery"]
            .as_f64()
            .unwrap()
    };
    assert!((start(0) - 1.0).abs() < 1e-12, "the original never forgot");
    assert!(start(1).abs() < 1e-12, "the oracle never knew");
    for model in 0..3 {
        let area = loss_curve(&first, model, 1)["area"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&area));
        let steps: Vec<u64> =
            first["models"][model]["attacks"]["attacks"][0][1]["curve"]["evaluations"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["steps"].as_u64().unwrap())
                .collect();
        assert_eq!(steps, [0, 1, 2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 21, 24]);
    }
    // Taken over: even the seconds are those of the first run.
    assert_eq!(run("run", "2"), shown);
    assert_eq!(record(&world, "run"), first);
    let table = |run: &str| std::fs::read(world.path(run).join("relearn.parquet")).unwrap();
    let before = table("run");
    // A record that was lost is made again, alone.
    let stages = world.find("run/stages", "relearn-", ".json");
    assert_eq!(stages.len(), 3 * (1 + 3 + 6 + 1));
    std::fs::remove_file(&stages[0]).unwrap();
    run("run", "2");
    assert_eq!(
        world.find("run/stages", "relearn-", ".json").len(),
        stages.len()
    );
    assert!(table("run") == before);
    run("alone", "1");
    assert!(
        table("alone") == before,
        "one thread and two give the same numbers"
    );
}

#[test]
fn without_an_oracle_a_model_is_measured_by_what_it_lost() {
    let world = trained_world();
    let shown = world
        .succeeds(&[
            "relearn",
            "--original",
            "original",
            "--unlearned",
            "out",
            "--forget",
            "tasks/facts.yaml",
            "--lr",
            "1e-2,3e-3",
            "--max-steps",
            "8",
            "--lora-rank",
            "2",
            "--output-path",
            "run",
        ])
        .stdout;
    assert!(shown.contains("for want of an oracle"), "{shown}");
    let record = record(&world, "run");
    assert_eq!(record["models"].as_array().unwrap().len(), 1);
    assert!(
        loss_curve(&record, 0, 1)["points"][0]["recovery"]
            .as_f64()
            .unwrap()
            .abs()
            < 1e-12
    );
    // As a folder of checkpoints.
    std::fs::create_dir(world.path("runs")).unwrap();
    std::fs::rename(world.path("out"), world.path("runs/a")).unwrap();
    let rule = [
        "relearn",
        "--original",
        "original",
        "--unlearned",
        "runs",
        "--forget",
        "tasks/facts.yaml",
    ];
    let options = [
        "--lr",
        "1e-2",
        "--epochs",
        "2",
        "--schedule",
        "linear",
        "--lora-rank",
        "2",
    ];
    let shown = world.succeeds(&[&rule[..], &options].concat()).stdout;
    assert!(shown.contains("runs/a"), "{shown}");
}

#[test]
fn nonsense_is_refused_before_anything_is_trained() {
    let world = World::new();
    let common = [
        "relearn",
        "--original",
        "model",
        "--unlearned",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    for (more, said) in [
        (&["--lr", "1e-5,0"][..], "--lr"),
        (&["--seeds", "1,1"][..], "twice"),
        (&["--grid", "few", "--lr", "1e-5,1e-4"][..], "one --lr"),
        (&["--held-out", "1"][..], "none to train on"),
        (&["--held-out", "0"][..], "nothing to judge"),
        (&["--attacks", "many-shot"][..], "rounding or few-shot"),
        (&["--paraphrased", "tasks/facts.yaml"][..], "in common"),
        (&["--grid", "one", "--batch-size", "10"][..], "9 of "),
        (&["--oracle", "model"][..], "as well as the original"),
        (&["--related", "tasks/othrs.yaml"][..], "othrs"),
        (&["--lora-rank", "0"][..], "--lora-rank"),
    ] {
        world.fails(2, &[&common[..], more].concat(), &[said]);
    }
    let folder = [
        "relearn",
        "--original",
        "model",
        "--unlearned",
        "tasks",
        "--forget",
        "tasks/facts.yaml",
    ];
    world.fails(2, &folder, &["tasks", "config.json"]);
}
