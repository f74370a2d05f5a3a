//! `harness finetune`: a model that learned a task's answers, in full or through adapters.

use crate::world::World;

const COMMON: [&str; 9] = [
    "finetune",
    "--model",
    "model",
    "--task",
    "tasks/facts.yaml",
    "--batch-size",
    "3",
    "--lr",
    "1e-2",
];

fn finetune(world: &World, output: &str, more: &[&str]) -> (f64, f64) {
    let outcome = world.succeeds(&[&COMMON[..], &["--output-path", output], more].concat());
    let losses = outcome.stdout.trim().rsplit_once("loss ").unwrap().1;
    let (first, last) = losses.split_once(" → ").unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

#[test]
fn every_weight_or_adapters_alone_learn_the_answers() {
    let world = World::new();
    let embedding = |model: &str| {
        let file = world.path(model).join("model.safetensors");
        let tensors = candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap();
        let embedding = &tensors["model.embed_tokens.weight"];
        embedding.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    // Adapters cannot reach the embedding, which has to learn most in so small a model.
    for (output, more, fall) in [
        ("full", &["--epochs", "6"][..], 1.0),
        ("adapted", &["--epochs", "6", "--lora-rank", "4"][..], 0.05),
    ] {
        let (first, last) = finetune(&world, output, more);
        assert!(last < first - fall, "{output}: {first} → {last}");
        assert_eq!(embedding(output) == embedding("model"), output == "adapted");
        assert!(!world.path(&format!("{output}.partial")).exists());
        world.succeeds(&["eval", "--model", output, "--tasks", "tasks/choices.yaml"]);
    }
}

#[test]
fn the_written_model_is_the_trained_one_and_the_seed_decides_it() {
    let world = World::new();
    let weights =
        |output: &str| std::fs::read(world.path(output).join("model.safetensors")).unwrap();
    for (output, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
        finetune(
            &world,
            output,
            &["--steps", "4", "--lora-rank", "2", "--seed", seed],
        );
    }
    assert!(weights("a") == weights("b"));
    assert!(weights("a") != weights("c"));
    // One batch of all documents: the next run begins where the first one ended.
    let all = [
        "--batch-size",
        "12",
        "--schedule",
        "constant",
        "--steps",
        "2",
    ];
    let common = ["finetune", "--task", "tasks/facts.yaml", "--lr", "1e-3"];
    let outcome = world.succeeds(
        &[
            &common[..],
            &["--model", "model", "--output-path", "two"],
            &all,
        ]
        .concat(),
    );
    let second_loss = outcome
        .stdout
        .trim()
        .rsplit_once(" → ")
        .unwrap()
        .1
        .to_owned();
    let all = [
        "--batch-size",
        "12",
        "--schedule",
        "constant",
        "--steps",
        "1",
    ];
    world.succeeds(
        &[
            &common[..],
            &["--model", "model", "--output-path", "one"],
            &all,
        ]
        .concat(),
    );
    let outcome = world.succeeds(
        &[
            &common[..],
            &["--model", "one", "--output-path", "next"],
            &all,
        ]
        .concat(),
    );
    assert!(
        outcome.stdout.contains(&format!("loss {second_loss} →")),
        "{}",
        outcome.stdout
    );
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let world = World::new();
    for (more, said) in [
        (&["--steps", "0"][..], "--steps"),
        (&["--lora-rank", "0"][..], "--lora-rank"),
        (&["--batch-size", "13"][..], "13"),
        (
            &["--steps", "3", "--warmup-steps", "3"][..],
            "--warmup-steps",
        ),
        (&["--limit", "0"][..], "--limit"),
    ] {
        let common = ["finetune", "--model", "model", "--task", "tasks/facts.yaml"];
        world.fails(
            2,
            &[&common[..], &["--output-path", "out"], more].concat(),
            &[said],
        );
        assert!(!world.path("out").exists() && !world.path("out.partial").exists());
    }
    world.write("out/precious.txt", "mine");
    world.fails(
        2,
        &[&COMMON[..], &["--output-path", "out"]].concat(),
        &["not empty"],
    );
}
