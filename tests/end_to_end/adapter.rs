//! `harness eval --peft`: an adapter on a model scores as the model it is merged into.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use harness_model::{Lora, Model};
use serde_json::json;

use crate::world::World;

/// A rank-2 adapter in PEFT's format on the query projections, far from zero.
fn write_adapter(world: &World) {
    let config = json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none",
        "target_modules": ["q_proj"], "task_type": "CAUSAL_LM",
    });
    world.write("adapter/adapter_config.json", &config.to_string());
    let mut tensors = HashMap::new();
    for layer in 0..2 {
        let name = format!("base_model.model.model.layers.{layer}.self_attn.q_proj.lora_");
        let wave = |n: usize| (0..n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<f32>>();
        let tensor = |shape: (usize, usize)| {
            Tensor::from_vec(wave(shape.0 * shape.1), shape, &Device::Cpu).unwrap()
        };
        tensors.insert(format!("{name}A.weight"), tensor((2, 16)));
        tensors.insert(format!("{name}B.weight"), tensor((16, 2)));
    }
    let file = world.path("adapter/adapter_model.safetensors");
    candle_core::safetensors::save(&tensors, file).unwrap();
}

fn samples(world: &World, model: &str, out: &str, more: &[&str]) -> Vec<f64> {
    let arguments = [
        "eval",
        "--model",
        model,
        "--tasks",
        "tasks/choices.yaml",
        "--log_samples",
        "--output_path",
        out,
    ];
    world.succeeds(&[&arguments[..], more].concat());
    let text = std::fs::read_to_string(&world.find(out, "samples_", ".jsonl")[0]).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let first = |line: serde_json::Value| line["resps"][0][0][0].as_str().unwrap().parse().unwrap();
    lines.map(first).collect()
}

#[test]
fn an_adapter_scores_as_the_merged_model() {
    let world = World::new();
    write_adapter(&world);
    let model = Model::open(&world.path("model"), &Device::Cpu).unwrap();
    let lora = Lora::read(&world.path("adapter"), &model.spec, &Device::Cpu).unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        world.write(
            &format!("merged/{file}"),
            &world.read(&format!("model/{file}")),
        );
    }
    let merged = lora.merge(&model.weights).unwrap();
    merged
        .write(&world.path("merged/model.safetensors"))
        .unwrap();

    let adapted = samples(&world, "model", "a", &["--peft", "adapter"]);
    let merged = samples(&world, "merged", "b", &[]);
    let base = samples(&world, "model", "c", &[]);
    let far = |one: &[f64], other: &[f64]| {
        one.iter()
            .zip(other)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    };
    assert!(far(&adapted, &merged) < 1e-4, "{}", far(&adapted, &merged));
    assert!(far(&adapted, &base) > 1e-3, "the adapter changes something");
    assert_eq!(
        world.find("a/adapter", "results_", ".json").len(),
        1,
        "named after the adapter"
    );
}

#[test]
fn what_is_no_adapter() {
    let world = World::new();
    let eval = ["eval", "--model", "model", "--tasks", "tasks/choices.yaml"];
    world.fails(
        2,
        &[&eval[..], &["--peft", "model"]].concat(),
        &["adapter_config.json"],
    );
}
