//! `harness tasks show`: what a task's YAML comes to with its includes and defaults, and what a group or tag stands for.

use anyhow::Result;
use clap::Args;
use harness_task::{GroupNode, TaskNode};
use serde_json::{Value, json};

use super::{Folders, count};

/// Show a task with its includes and every default, or what is in a group or tag
#[derive(Args)]
pub(super) struct Show {
    /// A task, group, tag, pattern, YAML file or folder
    #[arg(value_name = "TASK")]
    name: String,
    /// Print JSON: groups as trees, tasks with all their keys
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: Folders,
}

impl Show {
    pub(super) fn run(self) -> Result<()> {
        let library = self.folders.library()?;
        let names = [self.name.clone()];
        let outline = library.outline(&names)?;
        let is_one_task = matches!(outline.as_slice(), [TaskNode::Task(_)]);
        if !self.json && !is_one_task {
            return crate::output::print(&drawn(&outline));
        }
        let selection = library.select(&names)?;
        let value = if self.json {
            json!({"tree": selection.tree, "tasks": selection.tasks})
        } else {
            selection.tasks.iter().map(|task| json!(task)).collect()
        };
        let value = match value {
            Value::Array(mut tasks) if tasks.len() == 1 => tasks.remove(0),
            other => other,
        };
        crate::output::print(&format!("{value:#}\n"))
    }
}

/// Groups and tasks, a line each, indented below the group they are in.
fn drawn(nodes: &[TaskNode]) -> String {
    let mut lines = Vec::new();
    for node in nodes {
        draw(node, 0, &mut lines);
    }
    lines.join("\n") + "\n"
}

fn draw(node: &TaskNode, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match node {
        TaskNode::Task(name) => lines.push(indent + name),
        TaskNode::Group(group) => {
            lines.push(indent + &heading(group));
            for child in &group.children {
                draw(child, depth + 1, lines);
            }
        }
    }
}

fn heading(group: &GroupNode) -> String {
    let averages = group.aggregate_metric_list.iter().map(|metric| {
        let weight = if metric.weight_by_size {
            "by documents"
        } else {
            "by tasks"
        };
        format!("{} averaged {weight}", metric.metric)
    });
    let size = count(group.leaves().len(), "task");
    let facts: Vec<String> = std::iter::once(size).chain(averages).collect();
    format!("{} (group, {})", group.name, facts.join("; "))
}
