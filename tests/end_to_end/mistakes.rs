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
    world.write("model/config.json", &config.replace("\"silu\"", "\"gelu\""));
    world.fails(2, &EVAL, &["config.json", "hidden_act", "gelu"]);
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
