//! Groups, overrides, patterns over files, and the cache of the index.
#![allow(
    clippy::unwrap_used,
    reason = "a test: panics are failures, skips are said aloud"
)]

use std::path::{Path, PathBuf};

use harness_task::{GroupNode, Selection, TaskLibrary, TaskNode};

fn task(name: &str, more: &str) -> String {
    format!(
        "task: {name}\ndataset_path: json\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: question\n\
         doc_to_target: label\ndoc_to_choice: choices\n{more}"
    )
}

/// Three tasks, two of them with a tag, and a group of that tag.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("a.yaml", &task("a", "tag: letters\nnum_fewshot: 2\n"));
    write("b.yaml", &task("b", "tag: letters\n"));
    write("c.yaml", &task("c", ""));
    write(
        "inner.yaml",
        "group: inner\ntask: letters\ngroup_alias: Inner\nmetadata: {version: 3}\n",
    );
    for (name, text) in files {
        write(name, text);
    }
    folder
}

fn select(folder: &Path, names: &[&str]) -> Result<Selection, String> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let library = TaskLibrary::open(&[folder.to_owned()]).unwrap();
    library.select(&names).map_err(|error| {
        error
            .to_string()
            .replace(&format!("{}/", folder.display()), "")
    })
}

/// The one group that `outer` is, and each task's shots.
fn outer(text: &str) -> (GroupNode, Vec<(String, Option<usize>)>) {
    let folder = folder(&[("outer.yaml", text)]);
    let selection = select(folder.path(), &["outer"]).unwrap();
    let [TaskNode::Group(group)] = selection.tree.as_slice() else {
        panic!("{:?}", selection.tree)
    };
    let shots = selection
        .tasks
        .iter()
        .map(|spec| (spec.task.clone(), spec.num_fewshot))
        .collect();
    (group.clone(), shots)
}

fn shots(of: &[(&str, usize)]) -> Vec<(String, Option<usize>)> {
    of.iter()
        .map(|(name, shots)| ((*name).to_owned(), Some(*shots)))
        .collect()
}

#[test]
fn settings_reach_every_task_of_a_group_or_tag_and_no_task_changes_its_name() {
    let expected = shots(&[("a", 5), ("b", 5)]);
    for member in [
        "{task: letters, num_fewshot: 5}",
        "{task: inner, num_fewshot: 5}",
        "{group: inner, num_fewshot: 5}",
    ] {
        assert_eq!(
            outer(&format!("group: outer\ntask: [{member}]\n")).1,
            expected,
            "{member}"
        );
    }
    assert_eq!(
        outer("group: outer\nnum_fewshot: 5\ntask: [inner]\n").1,
        expected
    );
}

#[test]
fn the_member_wins_over_the_groups_around_it_and_they_over_the_group_they_name() {
    let (_, found) =
        outer("group: outer\nnum_fewshot: 5\ntask: [{task: c, num_fewshot: 7}, letters]\n");
    assert_eq!(found, shots(&[("c", 7), ("a", 5), ("b", 5)]));
    let folder = folder(&[
        ("own.yaml", "group: own\nnum_fewshot: 1\ntask: [c]\n"),
        (
            "outer.yaml",
            "group: outer\ntask: [{group: own, num_fewshot: 9}]\n",
        ),
    ]);
    let fewshot = |name| select(folder.path(), &[name]).unwrap().tasks[0].num_fewshot;
    assert_eq!((fewshot("own"), fewshot("outer")), (Some(1), Some(9)));
}

#[test]
fn groups_are_trees_with_names_aliases_and_aggregates() {
    let (group, _) = outer(
        "group: outer\ngroup_alias: Outer\nmetadata: {version: 2}\n\
         aggregate_metric_list: {metric: acc, weight_by_size: no}\n\
         task:\n  - group: written here\n    group_alias: here\n    task: [c]\n    aggregate_metric_list:\n      \
         - {metric: acc, filter_list: strict, aggregation: mean}\n      - {metric: acc_norm, filter_list: [x, y]}\n  - inner\n",
    );
    assert_eq!(group.alias.as_deref(), Some("Outer"));
    assert_eq!(group.version(), Some(&2.into()));
    assert!(!group.aggregate_metric_list[0].weight_by_size);
    assert_eq!(group.aggregate_metric_list[0].filter_list, None);
    assert_eq!(group.leaves(), ["c", "a", "b"]);
    let names: Vec<(&str, Option<&str>)> = group
        .groups()
        .iter()
        .map(|group| (&*group.name, group.alias.as_deref()))
        .collect();
    assert_eq!(
        names,
        [
            ("outer", Some("Outer")),
            ("outer::written here", Some("here")),
            ("inner", Some("Inner"))
        ]
    );
    let here = &group.groups()[1].aggregate_metric_list;
    assert_eq!(
        here[0].filter_list.as_deref(),
        Some(&["strict".to_owned()][..])
    );
    assert_eq!(here[1].filter_list.as_ref().map(Vec::len), Some(2));
    assert!(here[1].weight_by_size);
}

#[test]
fn a_task_written_inside_a_group_has_the_groups_name_before_its_own() {
    let inline = task("new", "num_fewshot: 4\n").replace('\n', "\n    ");
    let (group, found) = outer(&format!("group: outer\ntask:\n  - {inline}\n"));
    assert_eq!(group.leaves(), ["outer::new"]);
    assert_eq!(found, shots(&[("outer::new", 4)]));
    let template = task("x", "").replace("task: x\n", "");
    let folder = folder(&[
        ("sub/_template", &template),
        (
            "sub/outer.yaml",
            "group: outer\ntask:\n  - {task: new, include: _template, num_fewshot: 3}\n",
        ),
    ]);
    let spec = select(folder.path(), &["outer"]).unwrap().tasks.remove(0);
    assert_eq!(
        (spec.task.as_str(), spec.num_fewshot),
        ("outer::new", Some(3))
    );
    assert!(spec.file.ends_with("sub/outer.yaml"));
}

#[test]
fn mistakes_in_groups_have_a_place() {
    let error = |text: &str| {
        let folder = folder(&[("outer.yaml", text)]);
        select(folder.path(), &["outer"]).unwrap_err()
    };
    for (text, message) in [
        (
            "group: outer\ntask: [c, lettres]\n",
            "outer.yaml:2:11: group `outer`: unknown member `lettres` (did you mean `letters`?)",
        ),
        (
            "group: outer\ntask: [{task: lettres, num_fewshot: 1}]\n",
            "outer.yaml:2:8: group `outer`: unknown member `lettres` (did you mean `letters`?)",
        ),
        (
            "group: outer\n",
            "outer.yaml:1:8: group `outer`: it needs the key `task`, the list of its members",
        ),
        (
            "group: outer\ntask: [{num_fewshot: 1}]\n",
            "outer.yaml:2:8: group `outer`: a member needs the key `task` or `group`, its name",
        ),
        (
            "group: outer\ntask: [3]\n",
            "outer.yaml:2:8: `task` takes names, or maps with the key `task` or `group`, not a number",
        ),
        (
            "group: outer\ntask: [c]\nagregate_metric_list: [{metric: acc}]\n",
            "outer.yaml:3:1: unknown key `agregate_metric_list`",
        ),
        (
            "group: outer\ntask: [c]\naggregate_metric_list: [{metrc: acc}]\n",
            "outer.yaml:3:26: unknown key `metrc` (did you mean `metric`?)",
        ),
        (
            "group: outer\ntask: [c]\naggregate_metric_list: [{metric: acc, aggregation: median}]\n",
            "outer.yaml:3:52: `aggregation` of a group is `mean`, which may be left out, or `harmonic_mean`",
        ),
        (
            "group: outer\ntask: [{group: in, task: [outer]}]\n",
            "outer.yaml:1:8: group `outer`: it contains itself, through outer, outer::in",
        ),
        (
            "group: outer\ntask: [a, {task: letters, num_fewshot: 9}]\n",
            "task `a`: asked for twice with different settings, and results have one row a task; ask for them in two runs",
        ),
    ] {
        assert_eq!(error(text), message, "{text}");
    }
}

#[test]
fn what_a_group_contains_is_not_there_a_second_time() {
    let folder = folder(&[]);
    let names = |asked: &[&str]| {
        let selection = select(folder.path(), asked).unwrap();
        let tree: Vec<String> = selection
            .tree
            .iter()
            .map(|node| node.name().to_owned())
            .collect();
        let tasks: Vec<String> = selection.tasks.into_iter().map(|spec| spec.task).collect();
        (tree, tasks)
    };
    let (tree, tasks) = names(&["b", "inner", "c", "letters"]);
    assert_eq!(
        (tree, tasks),
        (
            vec!["inner".to_owned(), "c".to_owned()],
            vec!["b".to_owned(), "a".to_owned(), "c".to_owned()],
        )
    );
}

#[test]
fn patterns_over_files_and_folders() {
    let folder = folder(&[
        ("sub/d.yaml", &task("d", "")),
        ("sub/e.yml", &task("e", "")),
    ]);
    let at = |path: &str| folder.path().join(path).display().to_string();
    let names = |asked: &str| -> Result<Vec<String>, String> {
        select(folder.path(), &[asked])
            .map(|found| found.tasks.into_iter().map(|spec| spec.task).collect())
    };
    assert_eq!(names(&at("[ab].yaml")).unwrap(), ["a", "b"]);
    assert_eq!(names(&at("*/?.yaml")).unwrap(), ["d"]);
    assert_eq!(names(&at("sub")).unwrap(), ["d"]);
    assert_eq!(names(&at("inner.yaml")).unwrap(), ["a", "b"]);
    assert!(
        names(&at("z*.yaml"))
            .unwrap_err()
            .contains("no file matches")
    );
    assert!(
        names(&at("gone.yaml"))
            .unwrap_err()
            .starts_with("cannot read gone.yaml")
    );
}

#[test]
fn later_folders_win_and_tags_with_them() {
    let first = folder(&[]);
    let second = tempfile::tempdir().unwrap();
    std::fs::write(
        second.path().join("a.yaml"),
        task("a", "tag: letters\nnum_fewshot: 8\n"),
    )
    .unwrap();
    let library = TaskLibrary::open(&[first.path().to_owned(), second.path().to_owned()]).unwrap();
    let specs = library.resolve(&["letters".to_owned()]).unwrap();
    // As upstream, a tag is what the last folder that has it says.
    assert_eq!(
        specs
            .iter()
            .map(|spec| (&*spec.task, spec.num_fewshot))
            .collect::<Vec<_>>(),
        [("a", Some(8))]
    );
}

/// A folder that is worth caching, where every task has its tag from a template.
fn large_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("_template"), "tag: all\n").unwrap();
    for index in 0..600 {
        let text = format!("task: t{index}\ninclude: _template\n");
        std::fs::write(folder.path().join(format!("t{index}.yaml")), text).unwrap();
    }
    folder
}

fn tag_sizes(folder: &Path, cache: &Path) -> Vec<(String, usize)> {
    let library = TaskLibrary::open_with_cache(&[folder.to_owned()], Some(cache)).unwrap();
    library
        .tags()
        .map(|(tag, tasks)| (tag.to_owned(), tasks.len()))
        .collect()
}

fn cache_file(cache: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(cache).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

#[test]
fn the_cache_follows_files_and_what_they_include() {
    let (folder, cache) = (large_folder(), tempfile::tempdir().unwrap());
    let sizes = || tag_sizes(folder.path(), cache.path());
    let all = |tag: &str, size| vec![(tag.to_owned(), size)];
    assert_eq!(sizes(), all("all", 600));
    let written = std::fs::read(cache_file(cache.path())).unwrap();
    assert_eq!(sizes(), all("all", 600));
    assert_eq!(std::fs::read(cache_file(cache.path())).unwrap(), written);

    std::fs::write(folder.path().join("t0.yaml"), "task: t0\n").unwrap();
    assert_eq!(sizes(), all("all", 599));
    std::fs::remove_file(folder.path().join("t1.yaml")).unwrap();
    assert_eq!(sizes(), all("all", 598));
    std::fs::write(folder.path().join("_template"), "tag: every\n").unwrap();
    assert_eq!(sizes(), all("every", 598));
}

#[test]
fn a_damaged_cache_is_ignored_and_replaced() {
    let (folder, cache) = (large_folder(), tempfile::tempdir().unwrap());
    let expected = vec![("all".to_owned(), 600)];
    assert_eq!(tag_sizes(folder.path(), cache.path()), expected);
    let file = cache_file(cache.path());
    let whole = std::fs::read(&file).unwrap();
    for damaged in [
        &b""[..],
        b"{\"format\": 1",
        &whole[..whole.len() / 2],
        b"[]",
    ] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(tag_sizes(folder.path(), cache.path()), expected);
        assert_eq!(std::fs::read(&file).unwrap(), whole);
    }
    // A cache that cannot be written is no error either.
    assert_eq!(
        tag_sizes(folder.path(), &folder.path().join("_template/x")),
        expected
    );
    // Small folders have none.
    let (small, none) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(small.path().join("t.yaml"), "task: t\n").unwrap();
    assert!(tag_sizes(small.path(), none.path()).is_empty());
    assert_eq!(std::fs::read_dir(none.path()).unwrap().count(), 0);
}
