//! Scores of groups out of those of the tasks below them, as lm-eval pools them. Asks no model, and leaves a group without a
//! score where none of its tasks has the metric.

use harness_metric::{harmonic_mean, mean, mean_by_size, pooled_stderr, unweighted_mean_stderr};
use harness_task::{AggregateMetric, AggregatedMetric, GroupNode, TaskNode, TaskResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;

/// A group's scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupResult {
    /// Its name.
    pub group: String,
    /// Name shown in tables.
    pub alias: String,
    /// `metadata.version`, if given.
    pub version: Option<Value>,
    /// Documents scored, of all tasks below.
    pub documents: usize,
    /// The aggregates, in the order of `aggregate_metric_list`; their documents are those of the tasks that have the metric.
    pub metrics: Vec<AggregatedMetric>,
    /// Metrics that tasks below lack, in words.
    pub lacking: Vec<String>,
}

/// The groups of `tree` whose tasks are all in `results`, from the top down, each once.
///
/// # Errors
/// On scores that are not finite.
pub fn score_groups(tree: &[TaskNode], results: &[&TaskResult]) -> Result<Vec<GroupResult>> {
    let mut groups: Vec<GroupResult> = Vec::new();
    for node in tree.iter().flat_map(TaskNode::groups) {
        let leaves = node.leaves();
        let find = |name: &&str| results.iter().find(|result| result.task == *name).copied();
        let known = groups.iter().any(|group| group.group == node.name);
        if let (false, Some(tasks)) = (known, leaves.iter().map(find).collect::<Option<Vec<_>>>()) {
            groups.push(score_group(node, &tasks)?);
        }
    }
    Ok(groups)
}

fn score_group(node: &GroupNode, tasks: &[&TaskResult]) -> Result<GroupResult> {
    let mut group = GroupResult {
        group: node.name.clone(),
        alias: node.alias.clone().unwrap_or_else(|| node.name.clone()),
        version: node.version().cloned(),
        documents: tasks.iter().map(|task| task.effective_documents).sum(),
        metrics: Vec::new(),
        lacking: Vec::new(),
    };
    for wanted in &node.aggregate_metric_list {
        if !wanted.harmonic_mean_of.is_empty() {
            harmonic(wanted, tasks, &mut group)?;
            continue;
        }
        let filters = match &wanted.filter_list {
            Some(filters) => filters.clone(),
            None => filters_of(&wanted.metric, tasks),
        };
        for filter in &filters {
            let parts = parts(&wanted.metric, filter, tasks);
            if !parts.is_empty() {
                group.metrics.push(aggregate(wanted, filter, &parts)?);
            }
        }
        let lacking = |task: &&&TaskResult| {
            let has = |metric: &AggregatedMetric| {
                metric.name == wanted.metric && filters.contains(&metric.filter)
            };
            !task.metrics.iter().any(has)
        };
        let without: Vec<&str> = tasks
            .iter()
            .filter(lacking)
            .map(|task| task.task.as_str())
            .collect();
        if !without.is_empty() {
            let (metric, names) = (&wanted.metric, without.join(", "));
            group
                .lacking
                .push(format!("{metric} is not among the scores of {names}"));
        }
    }
    Ok(group)
}

/// The harmonic mean of metrics of several tasks, such as TOFU's model utility. Its parts share documents, so there is no standard
/// error without them.
fn harmonic(
    wanted: &AggregateMetric,
    tasks: &[&TaskResult],
    group: &mut GroupResult,
) -> Result<()> {
    let of = &wanted.harmonic_mean_of;
    let all = tasks.iter().flat_map(|task| &task.metrics);
    let parts: Vec<&AggregatedMetric> = all.filter(|found| of.contains(&found.name)).collect();
    for name in of {
        if !parts.iter().any(|part| part.name == *name) {
            let metric = &wanted.metric;
            let lacking =
                format!("{name}, a part of {metric}, is not among the scores of any task");
            group.lacking.push(lacking);
        }
    }
    let Some(first) = parts.first() else {
        return Ok(());
    };
    let scores: Vec<f64> = parts.iter().map(|part| part.value).collect();
    group.metrics.push(AggregatedMetric {
        name: wanted.metric.clone(),
        filter: first.filter.clone(),
        value: harmonic_mean(&scores)?,
        stderr: None,
        documents: group.documents,
        higher_is_better: true,
    });
    Ok(())
}

/// The filter pipelines under which tasks have a metric, in the order in which they come up.
fn filters_of(metric: &str, tasks: &[&TaskResult]) -> Vec<String> {
    let mut filters: Vec<String> = Vec::new();
    for found in tasks.iter().flat_map(|task| &task.metrics) {
        if found.name == metric && !filters.contains(&found.filter) {
            filters.push(found.filter.clone());
        }
    }
    filters
}

fn parts<'a>(metric: &str, filter: &str, tasks: &[&'a TaskResult]) -> Vec<&'a AggregatedMetric> {
    let all = tasks.iter().flat_map(|task| &task.metrics);
    all.filter(|found| found.name == metric && found.filter == filter)
        .collect()
}

fn aggregate(
    wanted: &AggregateMetric,
    filter: &str,
    parts: &[&AggregatedMetric],
) -> Result<AggregatedMetric> {
    let scores: Vec<f64> = parts.iter().map(|part| part.value).collect();
    let stderrs: Vec<Option<f64>> = parts.iter().map(|part| part.stderr).collect();
    let sizes: Vec<usize> = parts.iter().map(|part| part.documents).collect();
    let (value, stderr) = if wanted.weight_by_size {
        (
            mean_by_size(&scores, &sizes)?,
            pooled_stderr(&stderrs, &sizes)?,
        )
    } else {
        (mean(&scores)?, unweighted_mean_stderr(&stderrs)?)
    };
    Ok(AggregatedMetric {
        name: wanted.metric.clone(),
        filter: filter.to_owned(),
        value,
        stderr,
        documents: sizes.iter().sum(),
        higher_is_better: parts.iter().all(|part| part.higher_is_better),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(
        name: &str,
        metrics: &[(&str, &str, f64, Option<f64>)],
        documents: usize,
    ) -> TaskResult {
        let metric =
            |&(name, filter, value, stderr): &(&str, &str, f64, Option<f64>)| AggregatedMetric {
                name: name.to_owned(),
                filter: filter.to_owned(),
                value,
                stderr,
                documents,
                higher_is_better: true,
            };
        TaskResult {
            task: name.to_owned(),
            alias: name.to_owned(),
            version: None,
            effective_documents: documents,
            original_documents: documents,
            metrics: metrics.iter().map(metric).collect(),
        }
    }

    fn group(name: &str, wanted: &[AggregateMetric], children: Vec<TaskNode>) -> GroupNode {
        GroupNode {
            name: name.to_owned(),
            alias: None,
            aggregate_metric_list: wanted.to_vec(),
            metadata: serde_json::Map::new(),
            warnings: Vec::new(),
            children,
        }
    }

    fn wanted(
        metric: &str,
        filter_list: Option<Vec<String>>,
        weight_by_size: bool,
    ) -> AggregateMetric {
        AggregateMetric {
            metric: metric.to_owned(),
            filter_list,
            weight_by_size,
            harmonic_mean_of: Vec::new(),
        }
    }

    fn leaf(name: &str) -> TaskNode {
        TaskNode::Task(name.to_owned())
    }

    #[test]
    fn documents_weigh_alike_or_tasks_do() {
        let (a, b) = (
            task("a", &[("acc", "none", 0.25, Some(0.1))], 10),
            task("b", &[("acc", "none", 0.75, Some(0.2))], 30),
        );
        let lists = [wanted("acc", None, true), wanted("acc", None, false)];
        let node = group("g", &lists, vec![leaf("a"), leaf("b")]);
        let [scored] = &score_groups(&[TaskNode::Group(node)], &[&a, &b]).unwrap()[..] else {
            panic!("one group")
        };
        assert_eq!(scored.documents, 40);
        assert!((scored.metrics[0].value - 0.625).abs() < 1e-15);
        assert!((scored.metrics[1].value - 0.5).abs() < 1e-15);
        // lm-eval's pooled_sample_stderr([.1, .2], [10, 20]), worked out by its formula for these sizes.
        let pooled = ((9.0 * 0.01 * 10.0 + 29.0 * 0.04 * 30.0) / 38.0 / 40.0_f64).sqrt();
        assert!((scored.metrics[0].stderr.unwrap() - pooled).abs() < 1e-15);
    }

    #[test]
    fn filters_are_found_and_lacking_metrics_named() {
        let (a, b) = (
            task(
                "a",
                &[("em", "strict", 0.5, None), ("em", "flexible", 1.0, None)],
                4,
            ),
            task("b", &[("acc", "none", 0.5, None)], 4),
        );
        let inner = group(
            "inner",
            &[wanted("em", None, true)],
            vec![leaf("a"), leaf("b")],
        );
        let outer = group("outer", &[], vec![TaskNode::Group(inner), leaf("b")]);
        let scored = score_groups(&[TaskNode::Group(outer)], &[&a, &b]).unwrap();
        assert!(scored[0].metrics.is_empty());
        let filters: Vec<&str> = scored[1]
            .metrics
            .iter()
            .map(|metric| metric.filter.as_str())
            .collect();
        assert_eq!(filters, ["strict", "flexible"]);
        assert_eq!(scored[1].metrics[0].documents, 4);
        assert_eq!(scored[1].lacking, ["em is not among the scores of b"]);
    }

    #[test]
    fn model_utility_is_over_metrics_and_tasks() {
        let (a, b) = (
            task(
                "a",
                &[
                    ("probability", "none", 0.5, None),
                    ("acc", "none", 0.1, None),
                ],
                10,
            ),
            task("b", &[("share", "none", 0.25, None)], 30),
        );
        let utility = AggregateMetric {
            harmonic_mean_of: ["probability", "share", "rouge"]
                .map(str::to_owned)
                .to_vec(),
            ..wanted("model_utility", None, true)
        };
        let node = group("g", &[utility], vec![leaf("a"), leaf("b")]);
        let [scored] = &score_groups(&[TaskNode::Group(node)], &[&a, &b]).unwrap()[..] else {
            panic!("one group")
        };
        // 2 / (1/0.5 + 1/0.25)
        assert!((scored.metrics[0].value - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(scored.metrics[0].name, "model_utility");
        assert_eq!(
            scored.lacking,
            ["rouge, a part of model_utility, is not among the scores of any task"]
        );
    }

    #[test]
    fn a_group_waits_for_all_its_tasks() {
        let a = task("a", &[("acc", "none", 0.5, None)], 4);
        let node = group(
            "g",
            &[wanted("acc", None, true)],
            vec![leaf("a"), leaf("b")],
        );
        assert_eq!(score_groups(&[TaskNode::Group(node)], &[&a]).unwrap(), []);
    }
}
