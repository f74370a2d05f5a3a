//! `--model_args` of `harness eval` and named chat templates: arguments that say how texts become tokens equal prompts that
//! spell it out, and those that have no effect here are refused.

use serde_json::{Value, json};

use crate::world::World;

/// A task of one request a document, with the prompt `prompt` before ` x`.
fn task(prompt: &str) -> String {
    format!(
        "task: one\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: rows.jsonl}}}}\ntest_split: test\n\
         output_type: loglikelihood\ndoc_to_text: \"{prompt}\"\ndoc_to_target: \" x\"\n"
    )
}

fn results(world: &World) -> Value {
    let file = &world.find("out", "results_", ".json")[0];
    let results = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    std::fs::remove_dir_all(world.path("out")).unwrap();
    results
}

/// Perplexity of ` x` after a prompt, under arguments.
fn perplexity(world: &World, prompt: &str, arguments: &str) -> f64 {
    world.write("tasks/one.yaml", &task(prompt));
    let arguments = format!("pretrained=model,{arguments}");
    let eval = [
        "eval",
        "--model",
        "hf",
        "--model_args",
        &arguments,
        "--tasks",
        "tasks/one.yaml",
    ];
    world.succeeds(&[&eval[..], &["--limit", "1", "-o", "out"]].concat());
    results(world)["results"]["one"]["perplexity,none"]
        .as_f64()
        .unwrap()
}

#[track_caller]
fn same(a: f64, b: f64) {
    assert!((a / b - 1.0).abs() < 1e-5, "{a} is not {b}");
}

#[track_caller]
fn other(a: f64, b: f64) {
    assert!((a / b - 1.0).abs() > 1e-5, "{a} is {b}");
}

#[test]
fn a_short_context_loses_the_beginning_of_the_prompt() {
    let world = World::new();
    let whole = perplexity(&world, "abcdefgh", "");
    // lm-eval keeps the last max_length + 1 tokens: six of the prompt's bytes, and the two of the answer.
    let short = perplexity(&world, "abcdefgh", "max_length=7");
    same(short, perplexity(&world, "cdefgh", ""));
    other(short, whole);
    same(perplexity(&world, "abcdefgh", "max_length=9"), whole);
}

#[test]
fn bos_is_added_where_it_is_asked_for() {
    let world = World::new();
    let plain = perplexity(&world, "abc", "");
    let with_bos = perplexity(&world, "<end>abc", "");
    other(plain, with_bos);
    same(perplexity(&world, "abc", "add_bos_token=True"), with_bos);
    same(perplexity(&world, "abc", "add_bos_token=False"), plain);
    // Never twice.
    same(
        perplexity(&world, "<end>abc", "add_bos_token=True"),
        with_bos,
    );
    // Where tokenizer.json adds it, False keeps it away.
    let mut tokenizer: Value = serde_json::from_str(&world.read("model/tokenizer.json")).unwrap();
    let a = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    let end = json!({ "SpecialToken": { "id": "<end>", "type_id": 0 } });
    tokenizer["post_processor"] = json!({
        "type": "TemplateProcessing", "single": [end, a], "pair": [a, a],
        "special_tokens": { "<end>": { "id": "<end>", "ids": [256], "tokens": ["<end>"] } },
    });
    world.write("model/tokenizer.json", &tokenizer.to_string());
    same(perplexity(&world, "abc", ""), with_bos);
    same(perplexity(&world, "abc", "add_bos_token=False"), plain);
    same(perplexity(&world, "abc", "add_bos_token=True"), with_bos);
}

#[test]
fn another_prefix_token_begins_what_has_no_context() {
    let world = World::new();
    let after_a = perplexity(&world, "A", "");
    same(perplexity(&world, "", "prefix_token_id=65"), after_a);
    other(perplexity(&world, "", ""), after_a);
    let arguments = "pretrained=model,prefix_token_id=999";
    let eval = [
        "eval",
        "--model",
        "hf",
        "-a",
        arguments,
        "--tasks",
        "tasks/one.yaml",
    ];
    world.fails(2, &eval, &["999", "vocabulary"]);
}

#[test]
fn another_tokenizer_and_a_folder_within() {
    let world = World::new();
    let plain = perplexity(&world, "abc", "");
    let tokenizer = world
        .read("model/tokenizer.json")
        .replace("\"a\":97", "\"a\":98");
    let tokenizer = tokenizer.replace("\"b\":98", "\"b\":97");
    world.write("other/tokenizer.json", &tokenizer);
    world.write(
        "other/tokenizer_config.json",
        "{\"bos_token\": \"<end>\", \"eos_token\": \"<end>\"}",
    );
    let swapped = perplexity(&world, "bac", "tokenizer=other");
    same(swapped, plain);
    other(perplexity(&world, "abc", "tokenizer=other"), plain);
    std::fs::create_dir(world.path("all")).unwrap();
    std::fs::rename(world.path("model"), world.path("all/model")).unwrap();
    let arguments = "pretrained=all,subfolder=model,revision=main,dtype=auto,parallelize=False,load_in_8bit=False";
    let eval = [
        "eval",
        "--model",
        "hf",
        "-a",
        arguments,
        "-t",
        "tasks/one.yaml",
        "-o",
        "out",
    ];
    world.succeeds(&eval);
    let results = results(&world);
    same(
        results["results"]["one"]["perplexity,none"]
            .as_f64()
            .unwrap(),
        plain,
    );
}

#[test]
fn the_record_names_them() {
    let world = World::new();
    world.write("tasks/one.yaml", &task("abc"));
    let arguments = "{\"pretrained\": \"model\", \"max_length\": 100, \"add_bos_token\": true}";
    let eval = [
        "eval",
        "--model",
        "hf",
        "-a",
        arguments,
        "-t",
        "tasks/one.yaml",
        "-o",
        "out",
    ];
    world.succeeds(&eval);
    let results = results(&world);
    assert_eq!(results["max_length"], 100);
    let recorded = &results["config"]["model_args"];
    assert_eq!(recorded["max_length"], 100);
    assert_eq!(recorded["add_bos_token"], true);
}

#[test]
fn what_is_not_computed_is_refused() {
    let world = World::new();
    world.write("tasks/one.yaml", &task("abc"));
    let refused = |arguments: &str, parts: &[&str]| {
        let arguments = format!("pretrained=model,{arguments}");
        let eval = [
            "eval",
            "--model",
            "hf",
            "-a",
            &arguments,
            "-t",
            "tasks/one.yaml",
        ];
        world.fails(2, &eval, parts);
    };
    refused("dtype=bfloat16", &["dtype=bfloat16", "float32"]);
    refused("load_in_4bit=True", &["load_in_4bit", "--keep-quantized"]);
    refused(
        "max_lenght=5",
        &["max_lenght", "did you mean", "max_length"],
    );
    refused("max_length=0", &["max_length=0", "positive"]);
    refused("max_length=many", &["max_length=many", "positive"]);
    refused(
        "add_bos_token=perhaps",
        &["add_bos_token=perhaps", "True or False"],
    );
    refused("delta=other", &["delta", "sum"]);
    refused("think_end_token=</think>", &["think_end_token", "filter"]);
    refused("backend=seq2seq", &["seq2seq"]);
    refused("subfolder=x", &["x"]);
    refused("revision=v2", &["revision=v2", "hub id"]);
    refused("tokenizer=nowhere", &["nowhere", "tokenizer.json"]);
    refused("chat_template_args=[1]", &["chat_template_args", "map"]);
}

const CHOICES: [&str; 5] = ["eval", "--model", "model", "--tasks", "tasks/choices.yaml"];

/// The prompt of the first document, asked under options.
fn prompt(world: &World, options: &[&str]) -> String {
    let rest = ["--limit", "1", "-s", "-o", "out"];
    world.succeeds(&[&CHOICES[..], options, &rest].concat());
    let file = &world.find("out", "samples_choices_", ".jsonl")[0];
    let line: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    std::fs::remove_dir_all(world.path("out")).unwrap();
    let prompt = &line["arguments"]["gen_args_0"]["arg_0"];
    prompt.as_str().unwrap().to_owned()
}

fn saying(word: &str) -> String {
    format!("{word}:{{% for message in messages %}}{{{{ message.content }}}}{{% endfor %}}")
}

#[test]
fn one_of_several_chat_templates() {
    let world = World::new();
    let config = |templates: Value| {
        let config =
            json!({ "bos_token": "<end>", "eos_token": "<end>", "chat_template": templates });
        world.write("model/tokenizer_config.json", &config.to_string());
    };
    let named = |name: &str| json!({ "name": name, "template": saying(name) });
    config(json!([named("default"), named("tool_use")]));
    assert!(prompt(&world, &["--apply_chat_template"]).starts_with("default:"));
    assert!(prompt(&world, &["--apply_chat_template", "default"]).starts_with("default:"));
    assert!(prompt(&world, &["--apply_chat_template", "tool_use"]).starts_with("tool_use:"));
    assert!(prompt(&world, &["--apply_chat_template", "False"]).starts_with("Q:"));
    let refused = |options: &[&str], parts: &[&str]| {
        world.fails(2, &[&CHOICES[..], options].concat(), parts);
    };
    refused(
        &["--apply_chat_template", "tool_uses"],
        &["tool_uses", "did you mean", "default, tool_use"],
    );
    config(json!([named("rag"), named("tool_use")]));
    refused(&["--apply_chat_template"], &["no default", "rag, tool_use"]);
    // Files take the place of the configuration's.
    world.write("model/chat_template.jinja", &saying("file"));
    world.write(
        "model/additional_chat_templates/other.jinja",
        &saying("other"),
    );
    assert!(prompt(&world, &["--apply_chat_template"]).starts_with("file:"));
    assert!(prompt(&world, &["--apply_chat_template", "other"]).starts_with("other:"));
    refused(
        &["--apply_chat_template", "rag"],
        &["rag", "default, other"],
    );
}

#[test]
fn a_template_is_told_what_the_arguments_say() {
    let world = World::new();
    let template = "{{ enable_thinking }} {{ mood }}:{{ messages[0].content }}";
    world.write("model/chat_template.jinja", template);
    world.write("tasks/one.yaml", &task("abc"));
    let arguments = "pretrained=model,enable_thinking=False,chat_template_args={\"mood\":\"calm\"}";
    let eval = [
        "eval",
        "--model",
        "hf",
        "-a",
        arguments,
        "-t",
        "tasks/choices.yaml",
    ];
    let rest = ["--limit", "1", "--apply_chat_template", "--write_out"];
    let outcome = world.succeeds(&[&eval[..], &rest].concat());
    assert!(
        outcome.stderr.contains("\nFalse calm:Q:"),
        "{}",
        outcome.stderr
    );
}
