//! `harness tasks`: lists, trees, a validation that finds what is wrong, a new task that works at once.

use serde_json::Value;

use crate::world::World;

fn output(world: &World, arguments: &[&str]) -> String {
    world.succeeds(arguments).stdout
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn lists_of_each_kind() {
    let world = World::new();
    let names = |kind: &str| -> Vec<String> {
        let listed = json(&output(&world, &["tasks", "list", kind, "--json"]));
        let names = listed.as_array().unwrap().iter().map(|line| &line["name"]);
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    assert!(names("subtasks").contains(&"mmlu_anatomy".to_owned()));
    assert!(names("groups").contains(&"openllm".to_owned()));
    assert!(names("tags").contains(&"ai2_arc".to_owned()));
    assert_eq!(
        names("tasks").len(),
        names("subtasks").len() + names("groups").len() + names("tags").len()
    );
    let table = output(&world, &["tasks", "ls", "tags"]);
    assert!(
        table.contains("ai2_arc") && !table.contains("mmlu_anatomy\n"),
        "{table}"
    );
}

#[test]
fn a_group_is_shown_as_a_tree_and_a_task_with_its_defaults() {
    let world = World::new();
    let tree = output(&world, &["tasks", "show", "mmlu"]);
    assert!(tree.starts_with(
        "mmlu (group, 57 tasks; acc averaged by documents)\n  mmlu_stem (group, 19 tasks"
    ));
    assert!(tree.contains("\n    mmlu_anatomy\n"), "{tree}");
    let task = json(&output(&world, &["tasks", "show", "arc_easy"]));
    assert_eq!(
        (&task["task"], &task["target_delimiter"]),
        (&"arc_easy".into(), &" ".into())
    );
    let both = json(&output(&world, &["tasks", "show", "ai2_arc", "--json"]));
    assert_eq!(both["tasks"].as_array().unwrap().len(), 2);
    world.fails(
        2,
        &["tasks", "show", "mmlu_stm"],
        &["mmlu_stm", "did you mean `mmlu_stem`"],
    );
}

#[test]
fn validation_finds_mistakes_and_counts_python() {
    let world = World::new();
    let all = output(&world, &["tasks", "validate"]);
    assert!(all.contains(" 0 need Python functions"), "{all}");
    world.write("mine/hook.yaml", "task: hook\ndataset_path: x\ntest_split: test\ndoc_to_text: !function f.g\ndoc_to_target: y\n\
                output_type: loglikelihood\n");
    world.write("mine/wrong.yaml", "task: wrong\nnum_fewshots: 3\n");
    world.write("mine/broken.yaml", "task: broken\ndoc_to_text: [a\n");
    let hook = output(
        &world,
        &["tasks", "validate", "hook", "--include-path", "mine"],
    );
    assert!(hook.contains(" 1 need Python functions"), "{hook}");
    let outcome = world.harness(&["tasks", "validate", "--include_path", "mine"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    for expected in [
        "wrong.yaml:2:1: unknown key `num_fewshots` (did you mean `num_fewshot`?)\n  2 | num_fewshots: 3\n    | ^\n",
        "broken.yaml:",
    ] {
        assert!(outcome.stdout.contains(expected), "{}", outcome.stdout);
    }
    assert!(
        outcome.stderr.contains("2 mistakes in task files"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn an_error_shows_the_line_and_points_at_the_place() {
    let world = World::new();
    world.write("wrong.yaml", "task: wrong\nnum_fewshots: 3\n");
    let outcome = world.harness(&["eval", "--model", "model", "--tasks", "wrong.yaml"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome
            .stderr
            .ends_with("(did you mean `num_fewshot`?)\n  2 | num_fewshots: 3\n    | ^\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_new_task_works_as_it_is() {
    let world = World::new();
    for kind in ["choice", "text"] {
        let yaml = format!("{kind}_task/{kind}_task.yaml");
        let name = format!("{kind}_task");
        let made = output(&world, &["tasks", "new", &name, "--kind", kind]);
        assert!(made.contains(&yaml), "{made}");
        assert!(world.read(&yaml).contains(&format!("task: {name}\n")));
        output(&world, &["tasks", "validate", &yaml]);
        let table = output(&world, &["eval", "--model", "model", "--tasks", &yaml]);
        assert!(table.contains(&name), "{table}");
        world.fails(
            2,
            &["tasks", "new", &name, "--kind", kind],
            &["is there already"],
        );
    }
    world.fails(2, &["tasks", "new", "../x"], &["../x", "no task name"]);
}
