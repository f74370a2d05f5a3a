//! The loop of `harness unlearn`: what is trained, how batches become steps, when it ends.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use harness_model::{Weights, read_spec};
use serde_json::Value;

use crate::world::World;

/// Runs `method` for `steps` steps with more options.
fn unlearn(world: &World, method: &str, output: &str, more: &[&str]) {
    let mut arguments = vec![
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    arguments.extend(["--retain", "tasks/others.yaml", "--lr", "1e-2"]);
    arguments.extend(["--method", method, "--output-path", output]);
    arguments.extend(more);
    world.succeeds(&arguments);
}

fn steps(world: &World, output: &str) -> Vec<Value> {
    let log = world.read(&format!("{output}/unlearn.jsonl"));
    let lines = log.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn weights(world: &World, directory: &str) -> BTreeMap<String, Vec<f32>> {
    let path = world.path(directory);
    let spec = read_spec(&path).unwrap();
    let weights = Weights::read(&path, &spec, &Device::Cpu).unwrap();
    let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    let named = weights.iter();
    named
        .map(|(name, tensor)| (name.to_owned(), values(tensor)))
        .collect()
}

fn changed(world: &World, directory: &str) -> Vec<String> {
    let (before, after) = (weights(world, "model"), weights(world, directory));
    let differs = |name: &&String| before[*name] != after[*name];
    after.keys().filter(differs).cloned().collect()
}

#[test]
fn accumulated_batches_make_the_step_of_one_large_batch() {
    let world = World::new();
    // Means over sequences are means of the batches' means.
    for (output, batch, accumulation) in [("one", "6", "1"), ("three", "2", "3")] {
        let more = [
            "--steps",
            "3",
            "--batch-size",
            batch,
            "--gradient-accumulation",
            accumulation,
        ];
        unlearn(&world, "npo", output, &more);
    }
    let (one, three) = (steps(&world, "one"), steps(&world, "three"));
    for (one, three) in one.iter().zip(&three) {
        assert_eq!(one["forget_documents"], three["forget_documents"]);
        assert_eq!(one["tokens"], three["tokens"]);
        let forget = |step: &Value| step["parts"]["forget_loss"].as_f64().unwrap();
        assert!((forget(one) - forget(three)).abs() < 1e-4 * forget(one).abs());
    }
    // The retain loss is a mean over tokens, and its batches have answers of nearly one length: near, and not the same.
    let (one, three) = (weights(&world, "one"), weights(&world, "three"));
    let original = weights(&world, "model");
    let distance = |a: &BTreeMap<String, Vec<f32>>, b: &BTreeMap<String, Vec<f32>>| {
        let squares = a.iter().flat_map(|(name, a)| a.iter().zip(&b[name]));
        squares
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let (apart, moved) = (distance(&one, &three), distance(&original, &one));
    assert!(apart < 0.05 * moved, "{apart} of {moved}");
}

#[test]
fn sgd_steps_of_accumulated_batches_are_those_of_one_large_batch() {
    let world = World::new();
    for (output, batch, accumulation) in [("one", "4", "1"), ("two", "2", "2")] {
        let more = [
            "--optimizer",
            "sgd",
            "--schedule",
            "cosine",
            "--warmup-ratio",
            "0.5",
            "--steps",
            "4",
            "--set",
            "alpha=0",
            "--batch-size",
            batch,
            "--gradient-accumulation",
            accumulation,
        ];
        unlearn(&world, "npo", output, &more);
    }
    let (one, two) = (weights(&world, "one"), weights(&world, "two"));
    for (name, one) in &one {
        let worst = one.iter().zip(&two[name]).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f32::max);
        assert!(worst < 2e-6, "{name}: {worst}");
    }
    let rates: Vec<f64> = steps(&world, "one")
        .iter()
        .map(|step| step["learning_rate"].as_f64().unwrap())
        .collect();
    for (rate, expected) in rates.iter().zip([0.0, 0.005, 0.01, 0.005]) {
        assert!((rate - expected).abs() < 1e-9, "{rates:?}");
    }
}

#[test]
fn only_the_weights_that_are_named_change() {
    let world = World::new();
    let pattern = r"model\.layers\.1\.(mlp|self_attn)\..*";
    let more = ["--steps", "2", "--train-parameters", pattern];
    for (method, output) in [("npo", "npo"), ("rmu", "rmu")] {
        let own: &[&str] = match method {
            "rmu" => &[
                "--set",
                "layer=0",
                "--train-parameters",
                r".*layers\.0\.mlp.*",
            ],
            _ => &more[2..],
        };
        unlearn(&world, method, output, &[&more[..2], own].concat());
    }
    let names = changed(&world, "npo");
    assert_eq!(names.len(), 7, "{names:?}");
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("model.layers.1.") && !name.contains("norm"))
    );
    let names = changed(&world, "rmu");
    assert!(
        !names.is_empty() && names.iter().all(|name| name.contains("layers.0.mlp")),
        "{names:?}"
    );
    let mut arguments = vec![
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    arguments.extend(["--method", "grad_ascent", "--output-path", "out"]);
    arguments.extend(["--train-parameters", "layers.0.mlp.up_proj"]);
    let parts = ["layers.0.mlp.up_proj", "model.layers.N.mlp.up_proj.weight"];
    world.fails(2, &arguments, &parts);
    assert!(!world.path("out.partial").exists());
}

#[test]
fn every_kind_of_method_trains_an_adapter() {
    let world = World::new();
    let lora = ["--steps", "3", "--lora-rank", "2", "--lora-targets"];
    for (method, option) in [("grad_ascent", ""), ("npo", ""), ("rmu", "layer=0")] {
        let own: &[&str] = if option.is_empty() {
            &["q_proj,v_proj"]
        } else {
            &["q_proj,v_proj", "--set", option]
        };
        unlearn(&world, method, method, &[&lora[..], own].concat());
        let names = changed(&world, method);
        let expected = if option.is_empty() { 4 } else { 2 };
        assert!(names.len() >= expected, "{method}: {names:?}");
        assert!(
            names
                .iter()
                .all(|name| name.contains("q_proj") || name.contains("v_proj")),
            "{method}: {names:?}"
        );
    }
    // The adapter is off for the reference: NPO starts where it does with a copy.
    let first = steps(&world, "npo")[0]["parts"]["forget_loss"]
        .as_f64()
        .unwrap();
    assert!((first - 20.0 * 2f64.ln()).abs() < 1e-3, "{first}");
    // Merged and on top, the model is the same.
    let eval = ["eval", "--tasks", "tasks/choices.yaml", "--model"];
    let merged = world.succeeds(&[&eval[..], &["npo"]].concat());
    let adapted = world.succeeds(&[&eval[..], &["model", "--peft", "npo/adapter"]].concat());
    let rows = |text: &str| {
        let rows = text.lines().filter(|line| line.contains('±'));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rows(&merged.stdout), rows(&adapted.stdout));
    assert!(!rows(&merged.stdout).is_empty());
}

#[test]
fn an_adapter_beside_compressed_weights_is_merged_into_the_full_ones() {
    let world = World::new();
    let lora = ["--steps", "2", "--lora-rank", "2", "--lora-targets"];
    // Rows of 16 cannot be cut into blocks of 32.
    let mut arguments = vec![
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    arguments.extend(["--method", "grad_ascent", "--output-path", "out"]);
    arguments.extend(["--lora-rank", "2", "--quantized"]);
    world.fails(2, &arguments, &["blocks of 32"]);
    crate::world::write_wide_model(&world.path("model"));
    unlearn(
        &world,
        "npo",
        "out",
        &[&lora[..], &["v_proj", "--quantized"]].concat(),
    );
    let names = changed(&world, "out");
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().all(|name| name.contains("v_proj")));
}

#[test]
fn epochs_are_counted_in_forget_documents() {
    let world = World::new();
    let more = ["--epochs", "1.5", "--batch-size", "2"];
    unlearn(&world, "grad_ascent", "plain", &more);
    assert_eq!(steps(&world, "plain").len(), 9);
    let more = [&more[..], &["--gradient-accumulation", "2"]].concat();
    unlearn(&world, "grad_ascent", "twofold", &more);
    assert_eq!(steps(&world, "twofold").len(), 5);
    let arguments = ["unlearn", "--epochs", "1", "--steps", "2"];
    let outcome = world.harness(&arguments);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("cannot be used with"));
}

#[test]
fn a_bound_ends_the_run_and_is_named() {
    let world = World::new();
    let more = ["--steps", "40", "--stop-when", "forget_loss<0"];
    unlearn(&world, "grad_diff", "out", &more);
    let taken = steps(&world, "out").len();
    assert_eq!(
        taken, 10,
        "the forget loss is negative from the start; ten steps are looked at"
    );
    let record: Value = serde_json::from_str(&world.read("out/unlearn.json")).unwrap();
    let reason = record["outcome"]["stopped"].as_str().unwrap();
    assert!(reason.contains("forget_loss<0"), "{reason}");
    let mut arguments = vec![
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    arguments.extend(["--method", "grad_ascent", "--output-path", "other"]);
    arguments.extend(["--stop-when", "forgot_loss<0"]);
    world.fails(2, &arguments, &["forgot_loss", "loss"]);
    assert!(!world.path("other.partial").exists());
}

#[test]
fn one_part_is_the_whole_set_accumulated_and_parts_must_come_out_even() {
    let world = World::new();
    let epochs = ["--epochs", "3", "--batch-size", "2"];
    let one = [&epochs[..], &["--sequential", "1"]].concat();
    unlearn(&world, "npo", "one", &one);
    let whole = [&epochs[..], &["--gradient-accumulation", "6"]].concat();
    unlearn(&world, "npo", "whole", &whole);
    assert_eq!(steps(&world, "one").len(), 3);
    assert_eq!(weights(&world, "one"), weights(&world, "whole"));

    let parts = [&epochs[..], &["--sequential", "3"]].concat();
    unlearn(&world, "grad_ascent", "parts", &parts);
    let documents = |step: &Value| {
        let mut documents: Vec<u64> =
            serde_json::from_value(step["forget_documents"].clone()).unwrap();
        documents.sort_unstable();
        documents
    };
    let seen: Vec<Vec<u64>> = steps(&world, "parts").iter().map(documents).collect();
    assert_eq!(seen.len(), 9);
    for part in seen.chunks(3) {
        assert!(part.iter().all(|epoch| *epoch == part[0]), "{seen:?}");
    }
    let mut all = [&seen[0][..], &seen[3], &seen[6]].concat();
    all.sort_unstable();
    assert_eq!(all, (0..12).collect::<Vec<_>>());

    let mut arguments = vec![
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    arguments.extend(["--method", "grad_ascent", "--output-path", "other"]);
    let uneven = ["--sequential", "5", "--epochs", "2", "--batch-size", "2"];
    let parts = ["12 forget documents", "5 equal parts", "--limit 10"];
    world.fails(2, &[&arguments[..], &uneven].concat(), &parts);
    let half = ["--sequential", "3", "--epochs", "1.5"];
    world.fails(2, &[&arguments[..], &half].concat(), &["whole number"]);
    let without = world.harness(&[&arguments[..], &["--sequential", "3"]].concat());
    assert!(without.stderr.contains("--epochs"), "{}", without.stderr);
}
