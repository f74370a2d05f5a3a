//! `harness bench` with every further measure: forget quality, choices, neutral text, composite utility, gradient norms and fluency.

use serde_json::Value;

use crate::world::{World, write_model_of_seed};

const EXPERIMENT: &str = "model: model
oracle: oracle
forget: tasks/facts.yaml
retain: tasks/others.yaml
holdout: tasks/strangers.yaml
truth_ratio: tasks/truth.yaml
forget_choice: tasks/choices.yaml
neutral: tasks/text.yaml
utility: [tasks/all.yaml, tasks/truth.yaml]
limits: {forget: 6, retain: 4, neutral: 3, utility: 5}
methods: [grad_ascent]
unlearn: {steps: 2, batch_size: 2, learning_rates: [1e-2]}
relearn: {max_steps: 0}
rounding: []
noise: false
questions: 2
fluency: 4
gradient_norms: true
";

/// Answers among wrong ones, word by word.
const TRUTH: &str = "task: truth
dataset_path: json
dataset_kwargs: {data_files: {train: rows.jsonl}}
training_split: train
output_type: answer
doc_to_text: \"Q: {{question}}\\nA:\"
doc_to_target: answer
doc_to_wrong: choices
metric_list:
  - metric: probability
  - {metric: truth_ratio, aggregation: true_better}
generation_kwargs: {max_gen_toks: 4}
";

const TEXT: &str = "task: text
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: \"\"
doc_to_target: question
metric_list: [{metric: word_perplexity}]
";

const ALL: &str = "group: all
task: [truth]
aggregate_metric_list:
  - metric: model_utility
    aggregation: harmonic_mean
    of: [probability, truth_ratio]
";

fn world() -> World {
    let world = World::new();
    write_model_of_seed(&world.path("oracle"), 2);
    world.write("e.yaml", EXPERIMENT);
    world.write("tasks/truth.yaml", TRUTH);
    world.write("tasks/text.yaml", TEXT);
    world.write("tasks/all.yaml", ALL);
    let strangers = world.read("tasks/others.jsonl");
    let strangers = strangers.replace("star", "moon").replace("Star", "Moon");
    world.write("tasks/strangers.jsonl", &strangers);
    let task = world
        .read("tasks/others.yaml")
        .replace("others", "strangers");
    world.write("tasks/strangers.yaml", &task);
    world
}

fn card(world: &World) -> Value {
    serde_json::from_str(&world.read("run/scorecard.json")).unwrap()
}

/// What is measured on models that are the same is the same.
#[test]
fn every_measure_is_on_the_card_and_the_anchors_are_where_they_belong() {
    let world = world();
    let run = [
        "bench",
        "e.yaml",
        "--include-path",
        "tasks",
        "--output-path",
        "run",
    ];
    let first = world.succeeds(&run);
    let card = card(&world);
    let [original, oracle, method] = [0, 1, 2].map(|row| &card["rows"][row]["standing"]);
    let number = |value: &Value| value.as_f64().unwrap();
    for set in ["retain", "neutral"] {
        assert!(number(&original["retention"][set]["divergence"]["value"]).abs() < 1e-12);
        assert!((number(&original["retention"][set]["agreement"]["value"]) - 1.0).abs() < 1e-12);
        assert!((number(&original["retention"][set]["loss_ratio"]["value"]) - 1.0).abs() < 1e-12);
        assert!(number(&method["retention"][set]["divergence"]["value"]) > 0.0);
    }
    assert!(number(&oracle["forget_quality"]["log10_p"]).abs() < 1e-12);
    assert_eq!(oracle["forget_quality"]["documents"], 6);
    let attacks = oracle["privacy"].as_object().unwrap();
    assert_eq!(attacks.len(), 6, "{attacks:?}");
    for (attack, privacy) in attacks {
        assert!(
            number(&privacy["leakage"]["value"]).abs() < 1e-9,
            "{attack}"
        );
    }
    for task in ["tasks/all.yaml", "tasks/truth.yaml"] {
        let share = number(&original["utilities"][task]["value"]);
        assert!((share - 1.0).abs() < 1e-12, "{task}: {share}");
    }
    for column in [
        "FQ log10 p",
        "PrivLeak",
        "KL neutral",
        "Top-1",
        "Retain loss",
    ] {
        assert!(world.read("run/scorecard.md").contains(column), "{column}");
        assert!(world.read("run/report.html").contains(column), "{column}");
    }
    let record: Value = serde_json::from_str(&world.read("run/experiment.json")).unwrap();
    let scores = &record["subjects"][2]["outcome"]["measured"];
    let documents = |set: &Value| set.as_array().unwrap().len();
    assert_eq!(
        documents(&scores["sets"]["truth_ratio"]["metrics"]["truth_ratio"]),
        6
    );
    assert_eq!(documents(&scores["sets"]["neutral"]["metrics"]["loss"]), 3);
    assert_eq!(
        documents(&scores["sets"]["written"]["metrics"]["fluency"]),
        4
    );
    assert_eq!(documents(&scores["answers"]), 2);
    assert_eq!(documents(&scores["composites"][0]["parts"]), 2);
    assert_eq!(documents(&scores["forget_choice"]["values"]), 6);
    assert_eq!(
        world.succeeds(&run).stdout,
        first.stdout,
        "nothing is done twice"
    );
}

#[test]
fn tasks_that_cannot_give_a_measure_are_refused() {
    let world = world();
    let without = EXPERIMENT.replace(
        "truth_ratio: tasks/truth.yaml",
        "truth_ratio: tasks/choices.yaml",
    );
    world.write("e.yaml", &without);
    let run = [
        "bench",
        "e.yaml",
        "--include-path",
        "tasks",
        "--output-path",
        "run",
    ];
    world.fails(2, &run, &["choices", "truth_ratio", "output_type: answer"]);
    world.write(
        "e.yaml",
        &EXPERIMENT.replace("forget_choice:", "forget_choices:"),
    );
    world.fails(2, &run, &["forget_choices", "forget_choice"]);
    let seen = EXPERIMENT.replace(
        "holdout: tasks/strangers.yaml",
        "holdout: tasks/others.yaml",
    );
    world.write("e.yaml", &seen);
    world.fails(
        2,
        &run,
        &["holdout: tasks/others.yaml", "no model has seen"],
    );
    assert!(!world.path("run").exists());
}
