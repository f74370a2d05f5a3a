//! Bad task files end in an error that says file, line and what would be right; they never take others down.

#![allow(
    clippy::unwrap_used,
    reason = "a test: panics are failures, skips are said aloud, recorded numbers are exact"
)]

use std::fs;
use std::path::Path;

use harness_data::DataSource;
use harness_task::{RequestOptions, Task, TaskLibrary, TaskSpec};

/// A task that is right, to which one wrong thing is added.
const RIGHT: &str = "task: mine
dataset_path: json
test_split: test
output_type: multiple_choice
doc_to_text: question
doc_to_target: label
doc_to_choice: choices
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn resolve(folder: &Path, name: &str) -> Result<Vec<TaskSpec>, String> {
    let library = TaskLibrary::open(&[folder.to_owned()]).unwrap();
    let place = format!("{}/", folder.display());
    library
        .resolve(&[name.to_owned()])
        .map_err(|error| error.to_string().replace(&place, ""))
}

/// The error of the right task with `lines` after it, which are lines 8 and following of `mine.yaml`.
fn error_with(lines: &str) -> String {
    let folder = folder(&[("mine.yaml", &format!("{RIGHT}{lines}"))]);
    resolve(folder.path(), "mine").unwrap_err()
}

#[test]
fn the_right_task_is_right() {
    let folder = folder(&[("mine.yaml", RIGHT)]);
    assert_eq!(resolve(folder.path(), "mine").unwrap()[0].task, "mine");
}

#[test]
fn an_unknown_tag_is_no_text() {
    assert_eq!(
        error_with("description: !include text\n"),
        "mine.yaml:8:14: `description` has the unknown tag `!include`"
    );
}

#[test]
fn no_metrics_are_no_default_metrics() {
    let error = error_with("metric_list: []\n");
    assert!(error.contains("metric_list is empty"), "{error}");
}

#[test]
fn an_unknown_key_has_a_place_and_a_neighbour() {
    assert_eq!(
        error_with("num_fewshots: 3\n"),
        "mine.yaml:8:1: unknown key `num_fewshots` (did you mean `num_fewshot`?)"
    );
    assert_eq!(
        error_with("fewshot_config:\n  samplr: first_n\n"),
        "mine.yaml:9:3: unknown key `samplr` (did you mean `sampler`?)"
    );
}

#[test]
fn a_wrong_type_says_what_the_key_takes() {
    for (lines, message) in [
        (
            "num_fewshot: many\n",
            "mine.yaml:8:14: `num_fewshot` takes a whole number from 0, not \"many\"",
        ),
        (
            "num_fewshot: -1\n",
            "mine.yaml:8:14: `num_fewshot` takes a whole number from 0, not -1",
        ),
        (
            "description: [a]\n",
            "mine.yaml:8:14: `description` takes text, not a list",
        ),
        (
            "metric_list: acc\n",
            "mine.yaml:8:14: `metric_list` takes a list of maps, not text",
        ),
        (
            "should_decontaminate: 3\n",
            "mine.yaml:8:23: `should_decontaminate` takes true or false, not a number",
        ),
        (
            "metadata: 1.0\n",
            "mine.yaml:8:11: `metadata` takes a map, not a number",
        ),
    ] {
        assert_eq!(error_with(lines), message);
    }
}

#[test]
fn broken_yaml_has_a_place_too() {
    let duplicate = error_with("task: again\n");
    assert_eq!(
        duplicate,
        "task `mine` cannot be used: mine.yaml:8:1: duplicate key `task`; it is already set on line 1"
    );
    let syntax = error_with("metadata: {version: 1.0\n");
    assert!(
        syntax.starts_with("task `mine` cannot be used: mine.yaml:"),
        "{syntax}"
    );
    let second = error_with("---\ntask: other\n");
    assert!(
        second.contains("mine.yaml:8:1: a second document"),
        "{second}"
    );
    let deep = error_with(&format!("metadata:\n  {}1\n", "- ".repeat(5000)));
    assert!(
        deep.contains("mine.yaml:9:") && deep.contains("nested more than 64 deep"),
        "{deep}"
    );
}

#[test]
fn aliases_cannot_explode() {
    let level = |level: usize| {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{items}]\n")
    };
    let levels: Vec<String> = (1..9).map(level).collect();
    let bomb = format!(
        "task: bomb\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n{}",
        levels.concat()
    );
    let folder = folder(&[("bomb.yaml", &bomb)]);
    let error = resolve(folder.path(), "bomb").unwrap_err();
    assert!(
        error.contains("aliases expand to over 100000 nodes"),
        "{error}"
    );
}

#[test]
fn includes_that_are_missing_or_go_round() {
    let missing = folder(&[("mine.yaml", &format!("include: gone.yaml\n{RIGHT}"))]);
    let error = resolve(missing.path(), "mine").unwrap_err();
    assert!(
        error.starts_with(
            "task `mine` cannot be used: mine.yaml:1:10: cannot include gone.yaml: No such"
        ),
        "{error}"
    );

    let round = folder(&[
        ("mine.yaml", &format!("include: _b\n{RIGHT}")),
        ("_b", "x: 1\ninclude: mine.yaml\n"),
    ]);
    let error = resolve(round.path(), "mine").unwrap_err();
    assert_eq!(
        error,
        "task `mine` cannot be used: _b:2:10: include of mine.yaml is a cycle: mine.yaml includes _b includes it"
    );
}

#[test]
fn includes_are_shallow_and_a_diamond_is_no_cycle() {
    let folder = folder(&[
        (
            "_base",
            "metadata: {version: 1.0, note: x}\ntarget_delimiter: ':'\n",
        ),
        ("_left", "include: _base\ndescription: left\n"),
        ("_right", "include: _base\ndescription: right\n"),
        (
            "mine.yaml",
            &format!("include: [_left, _right]\n{RIGHT}metadata: {{version: 2.0}}\n"),
        ),
    ]);
    let spec = resolve(folder.path(), "mine").unwrap().remove(0);
    assert_eq!(
        (spec.description.as_str(), spec.target_delimiter.as_str()),
        ("right", ":")
    );
    assert_eq!(spec.version(), Some(&2.0.into()));
    assert!(!spec.metadata.contains_key("note"));
}

/// The error of loading the right task with `lines` after it.
fn load_error_with(lines: &str) -> String {
    let folder = folder(&[("mine.yaml", &format!("{RIGHT}{lines}"))]);
    let spec = resolve(folder.path(), "mine").unwrap().remove(0);
    let place = format!("{}/", folder.path().display());
    let error = Task::load(spec, &DataSource::default()).unwrap_err();
    error.to_string().replace(&place, "")
}

#[test]
fn python_is_read_as_data_and_refused_where_it_would_run() {
    assert_eq!(
        load_error_with("process_docs: !function utils.process\n"),
        "mine.yaml:8:15: task `mine`: `process_docs` needs the Python function `utils.process`, which runs only with \
         --trust-remote-code"
    );
    let inside =
        load_error_with("metric_list:\n  - metric: acc\n    aggregation: !function utils.mean\n");
    assert!(
        inside.starts_with("mine.yaml:10:18: task `mine`: `metric_list` needs"),
        "{inside}"
    );
    assert_eq!(
        error_with("description: !function utils.describe\n"),
        "mine.yaml:8:14: `description` takes no Python function"
    );
    // It does nothing upstream either, so there is nothing to call.
    let inert = load_error_with("doc_to_decontamination_query: !function utils.query\n");
    assert!(!inert.contains("Python"), "{inert}");
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    for (lines, message) in [
        (
            "repeats: 0\n",
            "mine.yaml:8:10: `repeats` takes a number from 1",
        ),
        (
            "filter_list: [{name: x}]\n",
            "mine.yaml:8:15: an item of filter_list needs the key `filter`",
        ),
        (
            "filter_list: [{name: x, filter: [{function: take_frst}]}]\n",
            "mine.yaml:8:45: unknown filter `take_frst` (did you mean `take_first`?)",
        ),
        (
            "process_docs: {native: helaswag}\n",
            "mine.yaml:8:15: there is no native function `helaswag` here (did you mean `hellaswag`?); there are hellaswag, \
             keep_rows, truthfulqa_gen",
        ),
        (
            "metric_list: [{metric: likelihood}]\n",
            "mine.yaml:8:15: metric `likelihood` is not supported yet; upstream cannot aggregate it without Python",
        ),
        (
            "metric_list: [{metric: acc_nrm}]\n",
            "mine.yaml:8:15: unknown metric `acc_nrm` (did you mean `acc_norm`?)",
        ),
        (
            "metric_list: [{metric: acc, higher_is_beter: true}]\n",
            "mine.yaml:8:15: metric `acc` has no option `higher_is_beter` (did you mean `higher_is_better`?)",
        ),
        (
            "metric_list: [{metric: perplexity}]\n",
            "mine.yaml:8:15: metric `perplexity` does not fit the output_type, which has acc, acc_norm, acc_bytes, \
             acc_mutual_info, exact_match, f1, mcc, brier_score, bypass, acc_over_chance",
        ),
    ] {
        assert_eq!(error_with(lines), message);
    }
}

#[test]
fn what_is_wrong_inside_a_filter_or_metric_is_said_when_the_task_is_loaded() {
    let generate = |lines: &str| {
        let yaml = RIGHT.replace("multiple_choice", "generate_until");
        let yaml = yaml.replace(
            "dataset_path: json",
            "dataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}",
        );
        let rows = "{\"question\": \"a\", \"label\": 0, \"choices\": [\"b\"]}\n";
        let folder = folder(&[
            ("mine.yaml", &format!("{yaml}{lines}")),
            ("rows.jsonl", rows),
        ]);
        let spec = resolve(folder.path(), "mine").unwrap().remove(0);
        let task = Task::load(spec, &DataSource::default());
        let asked = task.and_then(|task| task.requests(&RequestOptions::default()));
        asked.map(drop).map_err(|error| error.to_string())
    };
    let error = |lines: &str| generate(lines).unwrap_err();
    let step = |step: &str| error(&format!("filter_list: [{{name: x, filter: [{step}]}}]\n"));
    assert_eq!(
        step("{function: regex, regex_patern: a}"),
        "task `mine`: filter_list `x`: filter `regex` has no argument `regex_patern` (did you mean `regex_pattern`?)"
    );
    assert!(step("{function: regex, regex_pattern: '('}").contains("regular expression `(`"));
    assert!(step("{function: take_first_k}").ends_with("needs `k`, a number from 1"));
    assert!(
        error("metric_list: [{metric: exact_match, regexes_to_ignore: ['[']}]\n").contains("`[`")
    );
    assert_eq!(
        error("generation_kwargs: {num_beams: 4}\n"),
        "task `mine`: generation_kwargs: `num_beams: 4` is not supported; only 1 is"
    );
    assert_eq!(
        error("generation_kwargs: {temprature: 1.0}\n"),
        "task `mine`: generation_kwargs: unknown setting `temprature` (did you mean `temperature`?)"
    );
    assert!(generate("generation_kwargs: {num_beams: 1, until: x, max_new_tokens: 5}\n").is_ok());
}

#[test]
fn null_turns_a_key_off_and_what_is_inert_upstream_is_accepted() {
    let lines = "process_docs: null\nfilter_list:\nunsafe_code: false\nrepeats: 1\nshould_decontaminate: true\n\
                 doc_to_decontamination_query: '{{x}}'\n";
    let folder = folder(&[("mine.yaml", &format!("{RIGHT}{lines}"))]);
    assert!(resolve(folder.path(), "mine").unwrap()[0].should_decontaminate);
}

#[test]
fn a_broken_file_breaks_nothing_else() {
    let folder = folder(&[
        ("mine.yaml", RIGHT),
        ("broken.yaml", "task: broken\n  x: [\n"),
    ]);
    assert!(resolve(folder.path(), "mine").is_ok());
    assert!(
        resolve(folder.path(), "broken")
            .unwrap_err()
            .starts_with("task `broken` cannot be used: broken.yaml:2:")
    );
    let library = TaskLibrary::open(&[folder.path().to_owned()]).unwrap();
    assert_eq!(library.broken().count(), 1);
}

#[test]
fn names_are_tasks_tags_groups_patterns_and_files() {
    let named = |name: &str, extra: &str| RIGHT.replace("mine", name) + extra;
    let folder = folder(&[
        ("a.yaml", &named("arc_a", "tag: [letters, first]\n")),
        ("b.yaml", &named("arc_b", "tag: letters\n")),
        ("c.yaml", &named("other", "")),
        ("g.yaml", "group: everything\ntask: [inner, letters]\n"),
        ("i.yaml", "group: inner\ntask: other\n"),
        ("r.yaml", "group: round\ntask: [round]\n"),
        ("m.yaml", "group: lost\ntask:\n  - arc_c\n"),
    ]);
    let names = |name: &str| {
        resolve(folder.path(), name)
            .map(|specs| specs.into_iter().map(|spec| spec.task).collect::<Vec<_>>())
    };
    assert_eq!(names("letters").unwrap(), ["arc_a", "arc_b"]);
    assert_eq!(names("everything").unwrap(), ["other", "arc_a", "arc_b"]);
    assert_eq!(names("arc_[!a]").unwrap(), ["arc_b"]);
    assert_eq!(
        names(folder.path().join("c.yaml").to_str().unwrap()).unwrap(),
        ["other"]
    );
    assert_eq!(
        names("arc_ab").unwrap_err(),
        "unknown task `arc_ab` (did you mean `arc_a`?); `harness tasks list` shows all"
    );
    assert!(names("zzz*").unwrap_err().contains("no name matches"));
    assert!(
        names("round")
            .unwrap_err()
            .contains("r.yaml:1:8: group `round`: it contains itself")
    );
    assert_eq!(
        names("lost").unwrap_err(),
        "m.yaml:3:5: group `lost`: unknown member `arc_c` (did you mean `arc_a`?)"
    );
}
