//! What authors of tasks see: one document as a model is asked about it, and a validation that tries tasks out and finds what
//! would only fail in a run.

use serde_json::Value;

use crate::world::World;

/// `tasks show … --doc`, with the tokens of the tiny model.
fn shown(world: &World, arguments: &[&str]) -> String {
    let start = ["tasks", "show", "--model", "model"];
    world.succeeds(&[&start, arguments].concat()).stdout
}

const GENERATED: &str = "task: generated
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
doc_to_text: \"Name a colour.\\n{{question}} \"
doc_to_target: answer
generation_kwargs: {until: [\"\\n\"], max_gen_toks: 8, do_sample: false}
metric_list: [{metric: exact_match}]
";

const ROLLING: &str = "task: rolling
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: \"\"
doc_to_target: \"{{question * 20}}\"
";

#[test]
fn a_document_of_choices_is_shown_with_its_tokens() {
    let world = World::new();
    let shown = shown(&world, &["tasks/choices.yaml", "--doc", "3"]);
    assert_eq!(shown, include_str!("shown/choices.txt"));
}

#[test]
fn scoring_starts_where_white_space_at_the_end_of_the_prompt_does() {
    let world = World::new();
    let task = world.read("tasks/facts.yaml");
    let task = task.replace("\\nA:\"", "\\nA: \"").replace("\" {{", "\"{{");
    world.write("tasks/facts.yaml", &task);
    let shown = shown(
        &world,
        &["tasks/facts.yaml", "--doc", "0", "--num_fewshot", "1"],
    );
    assert_eq!(shown, include_str!("shown/facts.txt"));
}

#[test]
fn what_ends_a_generated_text_is_shown() {
    let world = World::new();
    world.write("tasks/generated.yaml", GENERATED);
    let shown = shown(&world, &["tasks/generated.yaml", "--doc", "11"]);
    assert_eq!(shown, include_str!("shown/generated.txt"));
}

#[test]
fn a_long_text_is_shown_in_its_windows() {
    let world = World::new();
    world.write("tasks/rolling.yaml", ROLLING);
    let text = shown(&world, &["tasks/rolling.yaml", "--doc", "0"]);
    assert_eq!(text, include_str!("shown/rolling.txt"));
    let json = shown(&world, &["tasks/rolling.yaml", "--doc", "0", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let request = &json["requests"][0];
    let scored = request["tokens"]["windows"].as_array().unwrap().iter();
    let scored = scored.flat_map(|window| window["scored"].as_array().unwrap());
    let scored: String = scored
        .map(|token| token["text"].as_str().unwrap())
        .collect();
    assert_eq!(request["text"], scored, "every token is scored once");
}

#[test]
fn what_is_shown_is_what_a_run_asks() {
    let world = World::new();
    let task = ["tasks/choices.yaml", "--num_fewshot", "2"];
    let shots = [
        "--num_fewshot",
        "2",
        "--log_samples",
        "--output_path",
        "out",
    ];
    let eval = ["eval", "--model", "model", "--tasks", "tasks/choices.yaml"];
    world.succeeds(&[&eval, &shots[..]].concat());
    let file = world.find("out", "samples_choices", ".jsonl").remove(0);
    let samples = std::fs::read_to_string(file).unwrap();
    let sample: Value = serde_json::from_str(samples.lines().nth(5).unwrap()).unwrap();
    let json = shown(&world, &[&task[..], &["--doc", "5", "--json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["document"], &json["target"]),
        (&sample["doc"], &3.into())
    );
    for (index, request) in json["requests"].as_array().unwrap().iter().enumerate() {
        let asked = &sample["arguments"][format!("gen_args_{index}")];
        assert_eq!(request["context"], asked["arg_0"]);
        assert_eq!(request["continuation"], asked["arg_1"]);
        let scored = request["tokens"]["windows"][0]["scored"]
            .as_array()
            .unwrap();
        let scored: String = scored
            .iter()
            .map(|token| token["text"].as_str().unwrap())
            .collect();
        assert_eq!(request["continuation"], scored);
    }
}

#[test]
fn what_cannot_be_shown_is_said() {
    let world = World::new();
    let cases: [(&[&str], &[&str]); 5] = [
        (
            &["tasks/choices.yaml", "--doc", "12"],
            &["no document 12", "there are 12"],
        ),
        (&["ai2_arc", "--doc", "0"], &["ai2_arc is 2 tasks"]),
        (&["arc_easy", "--num_fewshot", "2"], &["--doc"]),
        (
            &["tasks/choices.yaml", "--doc", "0", "--apply_chat_template"],
            &["--apply-chat-template", "--model"],
        ),
        (
            &["tasks/choices.yaml", "--doc", "0", "--tokenizer", "nowhere"],
            &["nowhere"],
        ),
    ];
    for (arguments, parts) in cases {
        world.fails(2, &[&["tasks", "show"], arguments].concat(), parts);
    }
}

const BASE: &str = "task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: question
doc_to_choice: choices
doc_to_target: label
metric_list: [{metric: acc}, {metric: acc_norm}]
";

/// Changes of the task above that only rows show to be wrong, and what is said.
const MISTAKES: [(&str, &str, &str); 12] = [
    (
        "doc_to_text: question",
        "doc_to_text: \"{{qestion}}\"",
        "mine.yaml:6:14: task `mine`, document 0: doc_to_text: undefined value",
    ),
    (
        "doc_to_text: question",
        "doc_to_text: |-\n  Question:\n  {{question.text.upper()}}",
        "in line 2 of the template, \"{{question.text.upper()}}\"",
    ),
    (
        "doc_to_choice: choices",
        "doc_to_choice: question",
        "document 0: doc_to_choice gave What is the colour of thing 0?, but a list of choices is needed",
    ),
    (
        "doc_to_target: label",
        "doc_to_target: \"{{label + 9}}\"",
        "document 0: doc_to_target gave 9, which is none of the 4 choices",
    ),
    (
        "doc_to_target: label",
        "doc_to_target: answer",
        "document 0: doc_to_target gave Thing 0 is red., which is none of the 4 choices",
    ),
    (
        "doc_to_choice: choices",
        "doc_to_choice: [\"\", a, b, c]",
        "document 0: acc_norm: choice 0 is empty, so it has no length to normalise by",
    ),
    (
        "test_split: test",
        "test_split: tset",
        "has no split `tset` (did you mean `test`?)",
    ),
    (
        "test_split: test",
        "test_split: test\nfewshot_split: tests\nnum_fewshot: 1",
        "has no split `tests` (did you mean `test`?)",
    ),
    (
        "test_split: test",
        "test_split: test\nnum_fewshot: 13",
        "13 few-shot examples cannot be drawn from the 12 documents of split `test`",
    ),
    (
        "test_split: test",
        "test_split: test\nprocess_docs: {native: hellaswag}",
        "process_docs, split `test`: the column `activity_label` holds no text",
    ),
    (
        "doc_to_text: question",
        "doc_to_text: question\ndescription: \"{{subject}}\"",
        "mine.yaml:7:14: task `mine`, document 0: description: undefined value",
    ),
    (
        "output_type: multiple_choice\ndoc_to_text: question\ndoc_to_choice: choices\ndoc_to_target: label\nmetric_list: [{metric: acc}, {metric: acc_norm}]",
        "doc_to_text: question\ndoc_to_target: answer\ngeneration_kwargs: {num_beams: 4}",
        "generation_kwargs: `num_beams: 4` is not supported; only 1 is",
    ),
];

#[test]
fn the_trial_finds_what_would_only_fail_in_a_run() {
    let world = World::new();
    let validate = ["tasks", "validate", "mine/mine.yaml"];
    for (right, wrong, expected) in MISTAKES {
        assert!(BASE.contains(right), "{right}");
        world.write("mine/mine.yaml", &BASE.replace(right, wrong));
        // Without rows there is nothing wrong with the file.
        let without = world.succeeds(&validate).stdout;
        assert!(
            without.contains("  1 not rendered: no data: mine\n"),
            "{without}"
        );
        world.write("mine/rows.jsonl", &world.read("tasks/rows.jsonl"));
        let outcome = world.harness(&validate);
        assert_eq!(outcome.code, 2, "{wrong}: {}", outcome.stdout);
        assert!(
            outcome.stdout.contains(expected),
            "{wrong}: {}",
            outcome.stdout
        );
        std::fs::remove_file(world.path("mine/rows.jsonl")).unwrap();
    }
}

#[test]
fn a_right_task_is_tried_out_and_its_data_may_be_elsewhere() {
    let world = World::new();
    let text = world
        .succeeds(&["tasks", "validate", "tasks/choices.yaml"])
        .stdout;
    assert!(
        text.contains("  1 rendered, and scored with made-up answers\n"),
        "{text}"
    );
    let text = world.succeeds(&["tasks", "validate", "ai2_arc"]).stdout;
    assert!(
        text.contains("  2 not rendered: no data: arc_challenge, arc_easy\n"),
        "{text}"
    );
    world.write(
        "data/allenai__ai2_arc/ARC-Easy/test.jsonl",
        "{\"question\": \"Why?\", \"choices\": {\"text\": [\"a\", \"b\"], \"label\": [\"A\", \"B\"]}, \"answerKey\": \"C\"}\n",
    );
    let outcome = world.harness(&["tasks", "validate", "arc_easy", "--data-dir", "data"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("task `arc_easy`, document 0: "),
        "{}",
        outcome.stdout
    );
}

#[test]
fn templates_and_filters_are_compiled_without_rows() {
    let world = World::new();
    let text = BASE.replace(
        "doc_to_text: question",
        "doc_to_text: |-\n  Q:\n  {{question",
    );
    world.write("mine.yaml", &text);
    let outcome = world.harness(&["tasks", "validate", "mine.yaml"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    assert!(
        outcome
            .stdout
            .contains("mine.yaml:6:14: task `mine`: doc_to_text: ")
            && outcome
                .stdout
                .contains("line 2 of the template, \"{{question\"\n  6 | doc_to_text: |-\n"),
        "{}",
        outcome.stdout
    );
    let filter = "filter_list: [{name: x, filter: [{function: regex, regex_pattern: \"(a\"}]}]\n";
    world.write("mine.yaml", &(BASE.to_owned() + filter));
    let outcome = world.harness(&["tasks", "validate", "mine.yaml"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("filter_list `x`: "),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_target_that_its_own_filter_loses_is_warned_of() {
    let world = World::new();
    let filter = "filter_list: [{name: number, filter: [{function: regex, regex_pattern: \"#### ([0-9]+)\"}, {function: take_first}]}]\n";
    world.write("tasks/generated.yaml", &(GENERATED.to_owned() + filter));
    let text = world
        .succeeds(&["tasks", "validate", "tasks/generated.yaml"])
        .stdout;
    assert!(
        text.contains("warning: tasks/generated.yaml: task `generated`: the target itself, given as the answer, scores 0 in `exact_match` under every filter\n"),
        "{text}"
    );
}

#[test]
fn slips_that_upstream_takes_for_true_are_warned_of() {
    let world = World::new();
    let group =
        "group: pair\ntask: [one]\naggregate_metric_list: [{metric: acc, weight_by_size: truez}]\n";
    world.write("mine/pair.yaml", group);
    world.write("mine/one.yaml", &BASE.replace("task: mine", "task: one"));
    let arguments = ["tasks", "validate", "pair", "--include-path", "mine"];
    let text = world.succeeds(&arguments).stdout;
    assert!(
        text.contains("warning: mine/pair.yaml:3:55: `weight_by_size` takes true or false; `truez` is text, which counts as true\n"),
        "{text}"
    );
}
