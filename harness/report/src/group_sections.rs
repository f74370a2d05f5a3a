//! What lm-eval's results file says about groups: their aggregates, versions, numbers of shots, and who is below whom.
//! Computes no aggregate; see `harness_bench::score_groups`.

use harness_bench::GroupResult;
use harness_task::{GroupNode, TaskNode};
use serde_json::{Map, Value};

use crate::eval_results::{EvalRun, add_scores, directions};

/// The names directly below each group.
pub(crate) fn group_subtasks(tree: &[TaskNode]) -> Value {
    let names =
        |group: &GroupNode| -> Value { group.children.iter().map(TaskNode::name).collect() };
    tree.iter()
        .flat_map(TaskNode::groups)
        .map(|group| (group.name.clone(), names(group)))
        .collect::<Map<_, _>>()
        .into()
}

/// Few-shot examples a document, where all of `nodes` agree.
pub(crate) fn num_fewshot(run: &EvalRun, nodes: &[TaskNode]) -> Option<usize> {
    let of_node = |node: &TaskNode| match node {
        TaskNode::Group(group) => num_fewshot(run, &group.children),
        TaskNode::Task(name) => {
            let task = run.tasks.iter().find(|task| task.spec.task == *name);
            task.map(|task| task.num_fewshot)
        }
    };
    let mut shots = nodes.iter().map(of_node);
    let first = shots.next()??;
    shots.all(|shots| shots == Some(first)).then_some(first)
}

/// Adds the groups to the sections of a results file, and the section `groups` where a group has an aggregate.
pub(crate) fn add_groups(run: &EvalRun, results: &mut Value) {
    let mut aggregates = Map::new();
    for group in &run.groups {
        let name = group.group.as_str();
        results["results"][name] = scores(group);
        if !group.metrics.is_empty() {
            aggregates.insert(name.to_owned(), scores(group));
            results["higher_is_better"][name] = directions(&group.metrics);
        }
        if let Some(version) = &group.version {
            results["versions"][name] = version.clone();
        }
    }
    for node in run.tree.iter().flat_map(TaskNode::groups) {
        if let Some(shots) = num_fewshot(run, &node.children) {
            results["n-shot"][&node.name] = shots.into();
        }
    }
    if !aggregates.is_empty() {
        results["groups"] = aggregates.into();
    }
}

fn scores(group: &GroupResult) -> Value {
    let mut values = Map::new();
    values.insert("name".into(), group.group.clone().into());
    values.insert("alias".into(), group.alias.clone().into());
    if !group.metrics.is_empty() {
        values.insert("sample_len".into(), group.documents.into());
        add_scores(&mut values, &group.metrics);
        let counts = group.metrics.iter().map(|metric| {
            let key = format!("{},{}", metric.name, metric.filter);
            (key, Value::from(metric.documents))
        });
        values.insert("sample_count".into(), counts.collect::<Map<_, _>>().into());
    }
    values.into()
}
