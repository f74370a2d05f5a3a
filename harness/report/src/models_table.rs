//! Several models on the same tasks in one table: a row a model, a column a score of what was asked for. Refuses nothing; a score
//! that a model lacks is an empty cell.

use std::path::PathBuf;

use harness_task::{AggregatedMetric, TaskNode};
use serde::{Deserialize, Serialize};

use crate::eval_results::EvalRun;
use crate::eval_table::number;
use crate::table::{Align, Table};

/// What a model scored, without its documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelScores {
    /// The model, as the user named it.
    pub model: String,
    /// Its own results file, where one was written.
    pub results: Option<PathBuf>,
    /// The scores of the tasks and groups that were asked for.
    pub scores: Vec<NamedScore>,
}

/// A score of a task or group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedScore {
    /// The task or group.
    pub task: String,
    /// Metric, filter, value and standard error.
    #[serde(flatten)]
    pub metric: AggregatedMetric,
}

impl ModelScores {
    /// The scores of a run: of groups that aggregate, their aggregates alone.
    pub fn new(model: String, results: Option<PathBuf>, run: &EvalRun) -> Self {
        let mut scores: Vec<NamedScore> = Vec::new();
        push_scores(run, &run.tree, &mut scores);
        Self {
            model,
            results,
            scores,
        }
    }
}

fn push_scores(run: &EvalRun, nodes: &[TaskNode], scores: &mut Vec<NamedScore>) {
    for node in nodes {
        let name = node.name();
        let metrics = match node {
            TaskNode::Task(_) => {
                let task = run.tasks.iter().find(|task| task.spec.task == name);
                task.map(|task| &task.evaluation.result.metrics)
            }
            TaskNode::Group(_) => {
                let group = run.groups.iter().find(|group| group.group == name);
                group.map(|group| &group.metrics)
            }
        };
        let metrics = metrics.map_or(&[][..], Vec::as_slice);
        if let (TaskNode::Group(group), true) = (node, metrics.is_empty()) {
            push_scores(run, &group.children, scores);
        }
        // What is asked for twice stands there once.
        if !scores.iter().any(|score| score.task == name) {
            scores.extend(metrics.iter().map(|metric| NamedScore {
                task: name.to_owned(),
                metric: metric.clone(),
            }));
        }
    }
}

/// The table, in Markdown.
pub fn models_table(models: &[ModelScores]) -> String {
    let mut columns: Vec<String> = Vec::new();
    for score in models.iter().flat_map(|model| &model.scores) {
        let column = column(score);
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let headers = columns.iter().map(|name| (name.as_str(), Align::Right));
    let headers: Vec<_> = std::iter::once(("Model", Align::Left))
        .chain(headers)
        .collect();
    let mut table = Table::new(&headers);
    for model in models {
        let value = |name: &String| {
            let score = model.scores.iter().find(|score| column(score) == *name);
            score.map_or_else(String::new, |score| number(score.metric.value))
        };
        let cells = std::iter::once(model.model.clone()).chain(columns.iter().map(value));
        table.push(cells.collect());
    }
    table.markdown()
}

/// Task and metric, and the filter where it says something.
fn column(score: &NamedScore) -> String {
    let NamedScore { task, metric } = score;
    match metric.filter.as_str() {
        "none" => format!("{task} {}", metric.name),
        filter => format!("{task} {} ({filter})", metric.name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ModelScores, models_table};

    #[test]
    fn a_row_a_model_and_a_column_a_score() {
        let score = |task: &str, filter: &str, value: f64| {
            json!({ "task": task, "name": "acc", "filter": filter, "value": value, "stderr": null, "documents": 3,
                "higher_is_better": true })
        };
        let models: Vec<ModelScores> = serde_json::from_value(json!([
            { "model": "A", "results": null, "scores": [score("one", "none", 0.5), score("two", "last", 0.25)] },
            { "model": "B", "results": null, "scores": [score("one", "none", 0.125)] },
        ]))
        .unwrap();
        let expected = "|Model|one acc|two acc (last)|
|-----|------:|-------------:|
|A    | 0.5000|        0.2500|
|B    | 0.1250|              |
";
        assert_eq!(models_table(&models), expected);
    }
}
