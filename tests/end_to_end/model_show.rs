//! `harness model show`: the facts as a table and as JSON.

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn the_facts_of_a_directory() {
    let world = World::new();
    let generation = json!({ "eos_token_id": [256, 10] });
    world.write("model/generation_config.json", &generation.to_string());
    let outcome = world.succeeds(&["model", "show", "model", "--json"]);
    let facts: Value = serde_json::from_str(&outcome.stdout).unwrap();
    // Embedding, final norm, and per layer: four projections, three of the gated MLP, two norms.
    let layer = 16 * 16 + 2 * 8 * 16 + 16 * 16 + 3 * 16 * 24 + 2 * 16;
    assert_eq!(facts["parameters"], 257 * 16 + 16 + 2 * layer);
    assert_eq!(facts["stored_types"], json!({ "F32": facts["parameters"] }));
    let file = std::fs::metadata(world.path("model/model.safetensors")).unwrap();
    assert_eq!(facts["bytes_on_disk"], file.len());
    assert_eq!(facts["family"], "llama");
    assert_eq!(
        (&facts["layers"], &facts["kv_heads"]),
        (&json!(2), &json!(1))
    );
    let end = json!({ "id": 256, "text": "<end>" });
    assert_eq!(facts["tokenizer"]["ends_of_text"][0], end);
    assert_eq!(facts["tokenizer"]["ends_of_text"][1]["id"], 10);
    assert_eq!(facts["tokenizer"]["pad"], Value::Null);
    assert_eq!(facts["tokenizer"]["chat_template"], false);
    let weights = facts["memory"]["training_weights_bytes"].as_u64().unwrap();
    assert_eq!(weights, facts["parameters"].as_u64().unwrap() * 8);
    assert_eq!(
        facts["memory"]["training_moments_bytes"].as_u64().unwrap(),
        weights
    );

    let table = world.succeeds(&["model", "show", "model"]).stdout;
    let starts: Vec<usize> = (table.lines().skip(2))
        .map(|line| {
            line.find("  ")
                .map(|gap| gap + line[gap..].len() - line[gap..].trim_start().len())
                .unwrap()
        })
        .collect();
    assert!(
        starts.iter().all(|&start| start == starts[0]),
        "not aligned:\n{table}"
    );
    for fact in ["Chat template", "<end> (256)", "257", "512 tokens"] {
        assert!(table.contains(fact), "no {fact:?} in\n{table}");
    }
}

#[test]
fn special_tokens_and_templates() {
    let world = World::new();
    let mut tokenizer: Value = serde_json::from_str(&world.read("model/tokenizer.json")).unwrap();
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [{ "SpecialToken": { "id": "<end>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        "special_tokens": { "<end>": { "id": "<end>", "ids": [256], "tokens": ["<end>"] } },
    });
    world.write("model/tokenizer.json", &tokenizer.to_string());
    let show = |config: &Value| {
        world.write("model/tokenizer_config.json", &config.to_string());
        let outcome = world.succeeds(&["model", "show", "model", "--json"]);
        let facts: Value = serde_json::from_str(&outcome.stdout).unwrap();
        facts["tokenizer"].clone()
    };
    // tokenizer.json has the last word on what is added, except for the class that takes its post-processor out.
    let config =
        json!({ "bos_token": null, "eos_token": { "content": "<end>" }, "add_bos_token": false });
    let facts = show(&config);
    assert_eq!(facts["added_before"][0]["id"], 256);
    assert_eq!(
        (&facts["bos"], &facts["eos"]["id"]),
        (&Value::Null, &json!(256))
    );
    let facts = show(&json!({ "tokenizer_class": "GPTNeoXTokenizer", "add_bos_token": true }));
    assert_eq!(facts["added_before"], json!([]));
    assert_eq!(
        facts["bos"]["id"], 256,
        "config.json's, where nothing else names one"
    );
    let named = [
        json!({ "name": "tools", "template": "t" }),
        json!({ "name": "default", "template": "d" }),
    ];
    assert_eq!(
        show(&json!({ "chat_template": named }))["chat_template"],
        true
    );
    assert_eq!(
        show(&json!({ "chat_template": [named[0]] }))["chat_template"],
        false
    );
    world.write("model/chat_template.jinja", "{{ messages }}");
    assert_eq!(show(&json!({}))["chat_template"], true);
}

#[test]
fn what_is_no_model() {
    let world = World::new();
    world.fails(
        2,
        &["model", "show", "modle"],
        &["modle", "did you mean model"],
    );
    world.fails(
        2,
        &["model", "show", "tasks/rows.jsonl"],
        &["rows.jsonl", "no GGUF file"],
    );
    let weights = world.path("model/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..100]).unwrap();
    world.fails(
        2,
        &["model", "show", "model"],
        &["model.safetensors", "damaged"],
    );
}
