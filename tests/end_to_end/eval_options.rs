//! lm-eval's flags of `harness eval`: what they change in prompts, documents and files, and what they refuse.

use serde_json::{Value, json};

use crate::world::World;

const EVAL: [&str; 7] = [
    "eval",
    "--model",
    "model",
    "--tasks",
    "tasks/choices.yaml",
    "--output_path",
    "out",
];

const TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}[{{ message.role }}]{{ message.content }}\n{% endfor %}\
{% if add_generation_prompt %}[assistant]{% endif %}";

fn samples(world: &World) -> Vec<Value> {
    let file = &world.find("out", "samples_choices_", ".jsonl")[0];
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn results(world: &World) -> Value {
    let file = &world.find("out", "results_", ".json")[0];
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn context(sample: &Value) -> &str {
    sample["arguments"]["gen_args_0"]["arg_0"].as_str().unwrap()
}

fn with_template() -> World {
    let world = World::new();
    let settings = json!({ "bos_token": "<end>", "eos_token": "<end>", "chat_template": TEMPLATE });
    world.write("model/tokenizer_config.json", &settings.to_string());
    world
}

#[test]
fn prompts_become_conversations() {
    let world = with_template();
    let options = [
        "-s",
        "--apply_chat_template",
        "--system_instruction",
        "Be brief.",
        "--num_fewshot",
        "1",
    ];
    world.succeeds(&[&EVAL[..], &options].concat());
    let samples = samples(&world);
    let context = context(&samples[0]);
    let (before, question) = (
        "<end>[system]Be brief.\n[user]Q: ",
        "[user]Q: What is the colour of thing 0?\nA:\n[assistant]",
    );
    assert!(
        context.starts_with(before) && context.ends_with(question),
        "{context}"
    );
    assert_eq!(context.matches("[assistant]").count(), 2);
    assert_eq!(
        samples[0]["arguments"]["gen_args_0"]["arg_1"], "red",
        "no delimiter"
    );
    let results = results(&world);
    assert_eq!(results["chat_template"], TEMPLATE);
    assert_eq!(results["system_instruction"], "Be brief.");
    assert_eq!(results["fewshot_as_multiturn"], true);
    assert_eq!(results["chat_template_sha"].as_str().unwrap().len(), 64);
}

#[test]
fn examples_in_one_turn() {
    let world = with_template();
    let options = [
        "-s",
        "--apply_chat_template",
        "--fewshot_as_multiturn",
        "False",
        "-f",
        "1",
    ];
    world.succeeds(&[&EVAL[..], &options].concat());
    let samples = samples(&world);
    assert_eq!(context(&samples[0]).matches("[user]").count(), 1);
    assert_eq!(results(&world)["fewshot_as_multiturn"], false);
}

#[test]
fn rows_instead_of_a_limit() {
    let world = World::new();
    world.write("rows.json", "{\"choices\": [7, 2]}");
    world.succeeds(&[&EVAL[..], &["-s", "--samples", "rows.json"]].concat());
    let rows: Vec<Value> = samples(&world)
        .iter()
        .map(|sample| sample["doc_id"].clone())
        .collect();
    assert_eq!(rows, [2, 7]);
    let refused = |given: &str, parts: &[&str]| {
        world.fails(2, &[&EVAL[..], &["--samples", given]].concat(), parts);
    };
    refused("{\"choices\": [12]}", &["choices", "12"]);
    refused("{\"choice\": [1]}", &["choice", "did you mean", "choices"]);
    refused("{\"choices\": []}", &["choices", "no row"]);
    refused("row.json", &["row.json", "rows.json"]);
    world.fails(
        2,
        &[&EVAL[..], &["--samples", "rows.json", "--limit", "1"]].concat(),
        &["--limit"],
    );
}

#[test]
fn predictions_without_scores() {
    let world = World::new();
    let outcome = world.succeeds(&[&EVAL[..], &["--predict_only"]].concat());
    assert!(
        outcome.stdout.contains("|bypass|") && outcome.stdout.contains("999"),
        "{}",
        outcome.stdout
    );
    assert_eq!(samples(&world).len(), 12);
    let [short @ .., _, _] = EVAL;
    world.fails(
        2,
        &[&short[..], &["--predict_only"]].concat(),
        &["--output-path"],
    );
}

#[test]
fn the_first_prompt_is_shown() {
    let world = World::new();
    let outcome = world.succeeds(&[&EVAL[..], &["--write_out", "True"]].concat());
    assert!(
        outcome.stderr.contains("What is the colour of thing 0?"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn options_out_of_a_file() {
    let world = World::new();
    world.write(
        "run.yaml",
        "model: hf\nmodel_args: {pretrained: model, dtype: float32}\ntasks: [tasks/choices.yaml]\nlimit: 3\n\
         log_samples: true\noutput_path: out\nnum_fewshot: 2\nmetadata: {origin: here}\n",
    );
    world.succeeds(&["eval", "--config", "run.yaml", "--num_fewshot", "0"]);
    assert_eq!(samples(&world).len(), 3);
    assert_eq!(context(&samples(&world)[0]).matches("Q: ").count(), 1);
    assert_eq!(
        results(&world)["configs"]["choices"]["metadata"]["origin"],
        "here"
    );
    world.write("run.yaml", "model: model\ntask: [x]\n");
    world.fails(
        2,
        &["eval", "-C", "run.yaml"],
        &["run.yaml:2", "task", "tasks"],
    );
    world.fails(2, &["eval", "-C", "rin.yaml"], &["rin.yaml"]);
}

#[test]
fn flags_that_scripts_pass() {
    let world = World::new();
    let options = [
        "--device",
        "cpu",
        "--batch_size",
        "auto:4",
        "--max_batch_size",
        "64",
        "--trust_remote_code",
        "True",
        "--verbosity",
        "INFO",
        "--cache_requests",
        "true",
        "--gen_kwargs",
        "temperature=0,do_sample=False",
    ];
    let outcome = world.succeeds(&[&EVAL[..], &options].concat());
    assert!(
        outcome.stderr.contains("--cache-requests") && outcome.stderr.contains("--max-batch-size")
    );
    assert!(
        outcome
            .stdout
            .contains("gen_kwargs: (temperature=0,do_sample=False)"),
        "{}",
        outcome.stdout
    );
    assert_eq!(
        results(&world)["config"]["gen_kwargs"],
        json!({ "temperature": 0, "do_sample": false })
    );
}

#[test]
fn what_has_no_meaning_is_refused() {
    let world = World::new();
    let refused =
        |options: &[&str], parts: &[&str]| world.fails(2, &[&EVAL[..], options].concat(), parts);
    refused(&["--apply_chat_template"], &["no chat template"]);
    refused(&["--fewshot_as_multiturn"], &["--apply-chat-template"]);
    refused(&["--gen_kwargs", "hot"], &["hot", "key=value"]);
    refused(
        &["--gen_kwargs", "temperatur=1"],
        &["--gen-kwargs", "temperatur"],
    );
    refused(&["--gen_kwargs", "top_p=2"], &["top_p", "from 0 to 1"]);
    refused(&["--gen_kwargs", "{'until': 'x'}"], &["double quotes"]);
    refused(&["--seed", "1,2"], &["--seed 1,2", "fewshot"]);
    refused(&["--seed", "none"], &["--seed", "few-shot"]);
    refused(&["--limit", "0"], &["--limit 0", "positive"]);
    refused(&["--samples", "[1]"], &["--samples [1]", "TASK"]);
    refused(&["--metadata", "[1]"], &["--metadata"]);
    refused(&["--log_samples", "maybe"], &["maybe"]);
    world.fails(
        2,
        &[
            "eval",
            "--model",
            "hf",
            "--model_args",
            "pretrained=model,max_lenght=5",
            "--tasks",
            "tasks/choices.yaml",
        ],
        &["max_lenght"],
    );
}

#[test]
fn samples_as_a_table() {
    let world = World::new();
    world.succeeds(&[&EVAL[..], &["--samples_format", "both", "-L", "2"]].concat());
    let [table] = &world.find("out", "samples_choices_", ".parquet")[..] else {
        panic!("one table")
    };
    assert!(std::fs::read(table).unwrap().starts_with(b"PAR1"));
    assert_eq!(samples(&world).len(), 2);
    std::fs::remove_dir_all(world.path("out")).unwrap();
    world.succeeds(&[&EVAL[..], &["--samples_format", "parquet", "-L", "2"]].concat());
    assert_eq!(world.find("out", "samples_", ".jsonl").len(), 0);
    assert_eq!(world.find("out", "samples_", ".parquet").len(), 1);
    let [short @ .., _, _] = EVAL;
    let without = [&short[..], &["--samples_format", "parquet"]].concat();
    world.fails(2, &without, &["--samples-format", "--output-path"]);
    world.fails(
        2,
        &[&EVAL[..], &["--samples_format", "csv"]].concat(),
        &["csv"],
    );
}

#[test]
fn settings_are_shown() {
    let world = World::new();
    let outcome = world.succeeds(&[&EVAL[..], &["--show_config", "-L", "2"]].concat());
    let from = outcome.stdout.find("\n{").unwrap();
    let to = outcome.stdout.rfind("\n}").unwrap() + 2;
    let shown: Value = serde_json::from_str(&outcome.stdout[from..to]).unwrap();
    assert_eq!(shown, results(&world)["configs"]);
}

#[test]
fn answers_are_kept_by_content() {
    let world = World::new();
    let run = |tasks: &str, limit: &str| {
        let outcome = world.succeeds(&[
            "eval",
            "--model",
            "model",
            "--tasks",
            tasks,
            "--limit",
            limit,
            "--use_cache",
            "./.cache",
        ]);
        let counts = outcome
            .stderr
            .lines()
            .last()
            .unwrap()
            .split(" answers")
            .next()
            .unwrap()
            .to_owned();
        (counts, outcome.stdout)
    };
    assert_eq!(run("tasks/choices.yaml", "3").0, "0 of 12");
    let (counts, cold) = run("tasks/choices.yaml", "12");
    assert_eq!(counts, "12 of 48");
    assert_eq!(
        run("tasks/choices.yaml", "12"),
        ("48 of 48".to_owned(), cold)
    );
    assert_eq!(run("tasks/facts.yaml", "12").0, "0 of 12");
    // Another model under the old name must not get the old one's answers.
    let config = world.read("model/config.json");
    world.write("model/config.json", &config.replace("0.00001", "0.1"));
    assert_eq!(run("tasks/choices.yaml", "12").0, "0 of 48");
    world.write(
        ".cache.db",
        &"my thesis, and no database at all ".repeat(100),
    );
    let eval = [
        "eval",
        "--model",
        "model",
        "--tasks",
        "tasks/choices.yaml",
        "--use_cache",
        "./.cache",
    ];
    world.fails(1, &eval, &[".cache.db", "--use-cache"]);
    assert!(world.read(".cache.db").starts_with("my thesis"));
}
