//! Experiment files: what they mean, what they inherit, and what is refused where.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::path::PathBuf;

use harness_bench::experiment::{ExperimentSpec, Making, RelearnSpec, SubjectKind, plan};
use harness_bench::relearn::AttackData;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> ExperimentSpec {
        ExperimentSpec::read(&self.file(name)).unwrap()
    }

    fn refusal(text: &str) -> String {
        let folder = Self::new(&[("e.yaml", text)]);
        let error = ExperimentSpec::read(&folder.file("e.yaml")).unwrap_err();
        error.to_string()
    }
}

const SMALL: &str = "model: M\nforget: F\nmethods: [npo]\n";

#[test]
fn little_is_enough() {
    let spec = Folder::new(&[("small.yaml", SMALL)]).read("small.yaml");
    assert_eq!(spec.name, "small");
    assert_eq!(
        (spec.seeds.as_slice(), spec.unlearn.steps),
        ([0].as_slice(), 50)
    );
    assert_eq!(spec.rounding, [8, 4]);
    assert_eq!(spec.utility, ["openllm"]);
    let text = format!("{SMALL}utility: []\n");
    let spec = Folder::new(&[("none.yaml", &text)]).read("none.yaml");
    assert!(spec.utility.is_empty());
}

#[test]
fn models_do_not_share_files() {
    for more in ["seeds: [1, 1]", "noise: [2, 2]"] {
        let refusal = Folder::refusal(&format!("{SMALL}{more}\n"));
        assert!(refusal.contains("two models would be called"), "{refusal}");
    }
    let twice = "model: M\nforget: F\nmethods: [npo, {method: npo, set: {beta: 1}}]\n";
    let refusal = Folder::refusal(twice);
    assert!(
        refusal.contains("`npo-seed0`; give a method a `name`"),
        "{refusal}"
    );
    let named = twice.replace("method: npo,", "method: npo, name: npo hard,");
    let spec = Folder::new(&[("e.yaml", &named)]).read("e.yaml");
    let rows: Vec<String> = plan(&spec).into_iter().map(|subject| subject.row).collect();
    assert_eq!(rows, ["original", "npo", "npo hard", "noise"]);
}

#[test]
fn numbers_are_read_as_people_write_them() {
    let text = format!(
        "{SMALL}unlearn: {{learning_rates: [1e-5, 3.0e-5, 0.0001], weight_decay: 0}}\nrelearn: {{learning_rates: 5e-4}}\n"
    );
    let spec = Folder::new(&[("e.yaml", &text)]).read("e.yaml");
    assert_eq!(spec.unlearn.learning_rates, [1e-5, 3e-5, 1e-4]);
    assert_eq!(spec.relearn.learning_rates, [5e-4]);
}

#[test]
fn what_costs_little_is_on() {
    let text =
        format!("{SMALL}relearn: {{data: [forget, related], related: R, schedule: linear}}\n");
    let own = Folder::new(&[("e.yaml", &text)]).read("e.yaml").relearn;
    assert_eq!(own.data, [AttackData::Forget, AttackData::Related]);
    assert_eq!(own.schedule.to_string(), "linear");
    let default = RelearnSpec::default();
    assert!(own.control && own.untrained == default.untrained);
    assert_eq!(default.data, [AttackData::Forget]);
    assert!(default.related.is_none() && default.unrelated.is_none());
    let refused = Folder::refusal(&format!("{SMALL}relearn: {{data: [related]}}\n"));
    assert!(
        refused.contains("neither `related` nor `retain`"),
        "{refused}"
    );
}

#[test]
fn a_file_extends_another_key_by_key() {
    let folder = Folder::new(&[
        (
            "base.yaml",
            "model: M\nforget: F\nmethods: [npo, rmu]\nseeds: [0, 1, 2]\nunlearn: {steps: 7, batch_size: 2}\n",
        ),
        (
            "own.yaml",
            "extends: base.yaml\nmethods: [grad_diff]\nunlearn: {steps: 9}\n",
        ),
    ]);
    let spec = folder.read("own.yaml");
    assert_eq!(spec.methods[0].method, "grad_diff");
    assert_eq!(spec.seeds, [0, 1, 2]);
    assert_eq!((spec.unlearn.steps, spec.unlearn.batch_size), (9, 2));
}

#[test]
fn paths_are_taken_from_the_files_folder_and_ids_are_left() {
    let folder = Folder::new(&[(
        "e.yaml",
        "model: here\noracle: org/hub-id\nforget: F\nmethods: npo\n",
    )]);
    std::fs::create_dir(folder.file("here")).unwrap();
    // One method need not be a list for YAML's sake, but it is for the format's.
    assert!(ExperimentSpec::read(&folder.file("e.yaml")).is_err());
    std::fs::write(
        folder.file("e.yaml"),
        "model: here\noracle: org/hub-id\nforget: F\nmethods: [npo]\n",
    )
    .unwrap();
    let spec = folder.read("e.yaml");
    assert_eq!(spec.model, Some(folder.file("here")));
    assert_eq!(spec.oracle, Some("org/hub-id".into()));
}

#[test]
fn mistakes_are_named_where_they_are() {
    let cases = [
        (
            format!("{SMALL}utilty: [a]\n"),
            "e.yaml:4:1: unknown key `utilty`",
        ),
        (
            format!("{SMALL}unlearn:\n  step: 3\n"),
            "e.yaml:5:3: unknown key `step`",
        ),
        (
            "model: M\nforget: F\nmethods:\n  - {methd: npo}\n".into(),
            "e.yaml:4:6: unknown key `methd`",
        ),
        (
            "model: M\nforget: F\nmethods: []\n".into(),
            "`methods` is empty",
        ),
        ("forget: F\nmethods: [npo]\n".into(), "name the original"),
        (format!("{SMALL}rounding: [3]\n"), "not 3"),
        (
            format!("{SMALL}limits: {{retain: 0}}\n"),
            "`limits` takes counts",
        ),
        (
            format!("{SMALL}unlearn: {{learning_rates: [fast]}}\n"),
            "`fast` is no number",
        ),
        (
            format!("{SMALL}unlearn: {{learning_rates: [-1e-5]}}\n"),
            "must be positive",
        ),
        (format!("{SMALL}extends: e.yaml\n"), "goes in a circle"),
        ("- a\n".into(), "not a list"),
    ];
    for (text, expected) in cases {
        let message = Folder::refusal(&text);
        assert!(message.contains(expected), "{text}\n{message}");
    }
    assert!(Folder::refusal(&format!("{SMALL}utilty: [a]\n")).contains("utility"));
}

#[test]
fn the_plan_has_every_rate_and_seed_of_every_method_between_the_anchors() {
    let text = "model: M\noracle: O\nforget: F\nseeds: [0, 1]\nunlearn: {learning_rates: [1e-5, 2e-5]}\nmethods:\n\
                - npo\n- {method: rmu, name: rmu deep, set: {layer: 5, beta: 1e-3}, learning_rates: [1e-4], steps: 3}\n";
    let spec = Folder::new(&[("e.yaml", text)]).read("e.yaml");
    let subjects = plan(&spec);
    let rows: Vec<&str> = subjects
        .iter()
        .map(|subject| subject.row.as_str())
        .collect();
    let wanted = [
        "original",
        "oracle",
        "npo lr 1e-5",
        "npo lr 1e-5",
        "npo lr 2e-5",
        "npo lr 2e-5",
        "rmu deep",
        "rmu deep",
        "noise",
        "noise",
    ];
    assert_eq!(rows, wanted);
    let Making::Unlearning(run) = &subjects[6].making else {
        panic!("{:?}", subjects[6]);
    };
    assert_eq!(
        (run.steps, run.settings.as_slice()),
        (3, ["beta=1e-3".to_owned(), "layer=5".to_owned()].as_slice())
    );
    assert_eq!(subjects[7].file_name(), "rmu-deep-seed1");
    assert_eq!(subjects[9].kind, SubjectKind::Noise);
}

#[test]
fn anchors_that_are_not_given_are_made_of_the_base() {
    let rows = |text: &str| -> Vec<(String, bool)> {
        let text = format!("forget: F\nretain: R\nmethods: [npo]\nnoise: false\n{text}");
        let spec = Folder::new(&[("e.yaml", &text)]).read("e.yaml");
        let made = |making: &Making| matches!(making, Making::FineTuning(_));
        let anchors = plan(&spec).into_iter().filter(|one| one.seed.is_none());
        anchors.map(|one| (one.row, made(&one.making))).collect()
    };
    let row = |name: &str, made| (name.to_owned(), made);
    assert_eq!(
        rows("finetune: {base: B, learning_rate: 2e-4}\n"),
        [
            row("original", true),
            row("oracle", true),
            row("oracle twin", true)
        ]
    );
    assert_eq!(
        rows("model: M\nfinetune: {base: B, twin: false}\n"),
        [row("original", false), row("oracle", true)]
    );
    assert_eq!(
        rows("model: M\noracle: O\noracle_twin: T\nfinetune: {base: B}\n"),
        [
            row("original", false),
            row("oracle", false),
            row("oracle twin", false)
        ]
    );
    assert!(Folder::refusal("forget: F\nmethods: [npo]\nfinetune: {base: B}\n").contains("retain"));
    let none = "forget: F\nretain: R\nmethods: [npo]\nfinetune: {base: B, epochs: 0}\n";
    assert!(Folder::refusal(none).contains("epochs"));
    let typo = "forget: F\nretain: R\nmethods: [npo]\nfinetune: {base: B, epoch: 2}\n";
    assert!(Folder::refusal(typo).contains("`epoch`"));
}

#[test]
fn the_schema_has_every_key_and_says_what_it_means() {
    let schema = ExperimentSpec::schema();
    let properties = schema.get("properties").unwrap().as_object().unwrap();
    for key in [
        "model", "oracle", "finetune", "forget", "methods", "unlearn", "relearn", "extends",
    ] {
        assert!(properties.contains_key(key), "{key}");
    }
    let relearn = schema.pointer("/$defs/RelearnSpec/properties").unwrap();
    for key in [
        "data",
        "related",
        "unrelated",
        "control",
        "untrained",
        "shots",
        "schedule",
    ] {
        assert!(relearn.get(key).is_some(), "{key}");
    }
    assert_eq!(relearn["schedule"]["enum"][2], "cosine");
    let description = properties["rounding"]["description"].as_str().unwrap();
    assert!(description.contains("rounded"), "{description}");
    assert_eq!(schema.get("additionalProperties").unwrap(), false);
}
