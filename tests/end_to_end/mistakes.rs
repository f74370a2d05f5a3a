//! Slips of the user: one line that names the thing, the cause and the way out, and exit code 2.

use crate::world::World;

const EVAL: [&str; 5] = ["eval", "--model", "model", "--tasks", "tasks/choices.yaml"];

#[test]
fn misspelt_names() {
    let world = World::new();
    world.fails(
        2,
        &["eval", "--model", "model", "--tasks", "arc_esay"],
        &["arc_esay", "arc_easy"],
    );
    world.fails(2, &["evla"], &["evla", "eval"]);
    world.fails(
        2,
        &["eval", "--modle", "model", "--tasks", "x"],
        &["--modle", "--model"],
    );
    world.fails(
        2,
        &["eval", "--model", "modle", "--tasks", "tasks/choices.yaml"],
        &["modle", "did you mean model"],
    );
    let unlearn = [
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
        "--output-path",
        "o",
        "--method",
        "nop",
    ];
    world.fails(2, &unlearn, &["nop", "did you mean `npo`"]);
}

#[test]
fn missing_and_senseless_values() {
    let world = World::new();
    world.fails(2, &["eval", "--model", "model"], &["--tasks"]);
    world.fails(2, &[&EVAL[..], &["--limit", "-1"]].concat(), &["--limit"]);
    world.fails(
        2,
        &[&EVAL[..], &["--num_fewshot", "many"]].concat(),
        &["many", "--num-fewshot"],
    );
    world.fails(
        2,
        &[&EVAL[..], &["--num_fewshot", "40"]].concat(),
        &["choices", "40"],
    );
    world.fails(
        2,
        &[&EVAL[..], &["--device", "cuda:0"]].concat(),
        &["cuda:0", "cpu"],
    );
    world.fails(
        2,
        &[&EVAL[..], &["--log_samples"]].concat(),
        &["--output-path"],
    );
    world.fails(
        2,
        &[&EVAL[..], &["--data-dir", "nowhere"]].concat(),
        &["nowhere"],
    );
    world.fails(
        2,
        &["eval", "--model", "model", "--tasks", "arc_easy"],
        &["allenai/ai2_arc", "--data-dir"],
    );
    let unlearn = [
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
        "--output-path",
        "o",
    ];
    world.fails(
        2,
        &[&unlearn[..], &["--method", "npo"]].concat(),
        &["npo", "--retain"],
    );
    world.fails(
        2,
        &[&unlearn[..], &["--method", "grad_ascent", "--lr", "nan"]].concat(),
        &["--lr"],
    );
}

#[test]
fn damaged_models() {
    let world = World::new();
    let weights = world.path("model/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    for length in [0, 5, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&weights, &bytes[..length]).unwrap();
        world.fails(2, &EVAL, &["model.safetensors"]);
    }
    std::fs::write(&weights, &bytes).unwrap();
    std::fs::rename(
        world.path("model/tokenizer.json"),
        world.path("tokenizer.json"),
    )
    .unwrap();
    world.fails(2, &EVAL, &["tokenizer.json"]);
    world.write("model/tokenizer.json", "{}");
    world.fails(2, &EVAL, &["tokenizer.json"]);
    std::fs::rename(
        world.path("tokenizer.json"),
        world.path("model/tokenizer.json"),
    )
    .unwrap();
    let config = world.read("model/config.json");
    world.write("model/config.json", &config.replace("llama", "llema"));
    world.fails(2, &EVAL, &["config.json", "llema", "llama"]);
    world.write(
        "model/config.json",
        &config.replace("\"silu\"", "\"swash\""),
    );
    world.fails(2, &EVAL, &["config.json", "hidden_act", "swash"]);
    world.write(
        "model/config.json",
        &config.replace("\"vocab_size\"", "\"logit_scale\":2.0,\"vocab_size\""),
    );
    world.fails(2, &EVAL, &["config.json", "logit_scale"]);
    world.write("model/config.json", &config.replace("257", "300"));
    world.fails(2, &EVAL, &["embed_tokens", "257"]);
}

#[test]
fn damaged_tasks() {
    let world = World::new();
    let task = world.read("tasks/choices.yaml");
    world.write(
        "tasks/choices.yaml",
        &task.replace("doc_to_text:", "doc_to_txt:"),
    );
    world.fails(2, &EVAL, &["choices.yaml:6", "doc_to_txt", "doc_to_text"]);
    world.write(
        "tasks/choices.yaml",
        &task.replace("{{question}}", "{{qestion}}"),
    );
    world.fails(2, &EVAL, &["choices", "doc_to_text", "qestion"]);
    world.write(
        "tasks/choices.yaml",
        &task.replace("test: rows.jsonl", "test: rowz.jsonl"),
    );
    world.fails(2, &EVAL, &["rowz.jsonl"]);
    world.write("tasks/choices.yaml", &task);
    let rows = world.read("tasks/rows.jsonl");
    world.write(
        "tasks/rows.jsonl",
        &rows.replacen("\"label\":3", "\"label\":", 1),
    );
    world.fails(2, &EVAL, &["rows.jsonl", "2"]);
}

#[test]
fn outputs_that_cannot_be() {
    let world = World::new();
    world.write("file", "mine");
    world.write("occupied/precious.txt", "mine");
    world.write("interrupted.partial/thesis.txt", "mine");
    let unlearn = [
        "unlearn",
        "--model",
        "model",
        "--forget",
        "tasks/facts.yaml",
        "--method",
        "grad_ascent",
    ];
    for (output, part) in [
        ("occupied/", "not empty"),
        ("interrupted", "interrupted.partial"),
        ("interrupted/", "interrupted.partial"),
        ("occupied/..", "no directory of its own"),
    ] {
        world.fails(
            2,
            &[&unlearn[..], &["--output-path", output]].concat(),
            &[part],
        );
    }
    assert_eq!(world.read("interrupted.partial/thesis.txt"), "mine");
    world.fails(
        1,
        &[&EVAL[..], &["--output-path", "file"]].concat(),
        &["file"],
    );
    let relearn = [
        "relearn",
        "--original",
        "model",
        "--unlearned",
        "model",
        "--forget",
        "tasks/facts.yaml",
    ];
    world.fails(
        1,
        &[&relearn[..], &["--output-path", "file"]].concat(),
        &["file"],
    );
    world.fails(
        2,
        &["demo", "--output-path", "occupied"],
        &["occupied", "no demo run made it"],
    );
    assert_eq!(world.read("occupied/precious.txt"), "mine");
    world.succeeds(&[&unlearn[..], &["--output-path", "new/", "--steps", "1"]].concat());
    world.succeeds(&["eval", "--model", "new", "--tasks", "tasks/choices.yaml"]);
}

#[test]
fn batches_larger_than_the_set() {
    let world = World::new();
    let huge = usize::MAX.to_string();
    for size in ["13", &huge] {
        let common = ["--forget", "tasks/facts.yaml", "--batch-size", size];
        let relearn = ["relearn", "--original", "model", "--unlearned", "model"];
        world.fails(
            2,
            &[&relearn[..], &common].concat(),
            &[size, "12 documents", "facts"],
        );
        let unlearn = [
            "unlearn",
            "--model",
            "model",
            "--method",
            "grad_ascent",
            "--output-path",
            "o",
        ];
        world.fails(
            2,
            &[&unlearn[..], &common].concat(),
            &[size, "12 documents", "facts"],
        );
    }
}

#[test]
fn models_that_are_not_what_they_say() {
    let world = World::new();
    let config = world.read("model/config.json");
    let layers = "\"num_hidden_layers\":2";
    assert!(config.contains(layers));
    world.write(
        "model/config.json",
        &config.replace(layers, "\"num_hidden_layers\":1"),
    );
    world.fails(2, &EVAL, &["model.layers.1."]);
    world.write(
        "model/config.json",
        &config.replace(layers, "\"num_hidden_layers\":1000000000000"),
    );
    world.fails(2, &EVAL, &["config.json", "num_hidden_layers"]);
    world.write("model/config.json", &config.replace("0.00001", "-1.0"));
    world.fails(2, &EVAL, &["config.json", "rms_norm_eps"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::process::{Command, Stdio};
    let world = World::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(EVAL)
        .args(["--output_path", "out"])
        .current_dir(world.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    assert_eq!(
        world.find("out", "results_", ".json").len(),
        1,
        "files are written first"
    );
}
