//! lm-eval's table of results, as its users know it from the terminal.

use harness_task::{AggregatedMetric, GroupNode, TaskNode, python_str};
use serde_json::{Map, Value};

use crate::eval_results::EvalRun;
use crate::group_sections::num_fewshot;
use crate::table::{Align, Table};

const HEADERS: [(&str, Align); 9] = [
    ("Tasks", Align::Left),
    ("Version", Align::Right),
    ("Filter", Align::Left),
    ("n-shot", Align::Right),
    ("Metric", Align::Left),
    ("", Align::Left),
    ("Value", Align::Right),
    ("", Align::Left),
    ("Stderr", Align::Right),
];

/// The line that names model and settings, the table of tasks with groups over them, and the table of groups.
pub fn eval_table(run: &EvalRun) -> String {
    let tables = ["Tasks", "Groups"].map(|kind| {
        let mut headers = HEADERS;
        headers[0].0 = kind;
        let mut rows = Rows {
            run,
            has_tasks: kind == "Tasks",
            table: Table::new(&headers),
            count: 0,
        };
        rows.push_nodes(&run.tree, 0);
        (rows.count > 0).then(|| rows.table.markdown())
    });
    let tables: Vec<String> = tables.into_iter().flatten().collect();
    format!("{}\n{}", settings(run), tables.join("\n"))
}

/// Model and settings in lm-eval's words.
fn settings(run: &EvalRun) -> String {
    let given = |value: Option<String>| value.unwrap_or_else(|| "None".to_owned());
    let pairs = |map: &Map<String, Value>| {
        let pair = |(name, value): (&String, &Value)| format!("{name}={}", python_str(value));
        map.iter().map(pair).collect::<Vec<_>>().join(",")
    };
    let generation = &run.prompting.generation_kwargs;
    format!(
        "hf ({}), gen_kwargs: ({}), limit: {}, num_fewshot: {}, batch_size: {}",
        pairs(&run.model.arguments()),
        given((!generation.is_empty()).then(|| pairs(generation))),
        given(run.limit.map(|limit| limit.to_string())),
        given(run.prompting.num_fewshot.map(|shots| shots.to_string())),
        run.batch_size,
    )
}

/// A table while it grows.
struct Rows<'a> {
    run: &'a EvalRun,
    /// All of the tree, or its aggregates only.
    has_tasks: bool,
    table: Table,
    count: usize,
}

/// What stands in front of the metrics of a task or group.
struct Heading {
    name: String,
    version: String,
    num_fewshot: String,
}

impl Rows<'_> {
    /// Nodes in order of name, each followed by what is below it, one step further in.
    fn push_nodes(&mut self, nodes: &[TaskNode], depth: usize) {
        let mut nodes: Vec<&TaskNode> = nodes.iter().collect();
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        for node in nodes {
            match node {
                TaskNode::Task(name) => self.push_task(name, depth),
                TaskNode::Group(group) => {
                    self.push_group(group, depth);
                    self.push_nodes(&group.children, depth + 1);
                }
            }
        }
    }

    fn push_task(&mut self, name: &str, depth: usize) {
        let run = self.run;
        let task = run.tasks.iter().find(|task| task.spec.task == name);
        if let (true, Some(task)) = (self.has_tasks, task) {
            let result = &task.evaluation.result;
            let heading = Heading {
                name: indented(&result.alias, depth),
                version: version(result.version.as_ref(), "Yaml"),
                num_fewshot: task.num_fewshot.to_string(),
            };
            self.push(&heading, &result.metrics);
        }
    }

    /// A group without aggregates has a row for its name, where tasks follow.
    fn push_group(&mut self, node: &GroupNode, depth: usize) {
        let run = self.run;
        let Some(group) = run.groups.iter().find(|group| group.group == node.name) else {
            return;
        };
        let num_fewshot = num_fewshot(run, &node.children);
        let heading = Heading {
            name: indented(&group.alias, depth),
            version: version(group.version.as_ref(), "N/A"),
            num_fewshot: num_fewshot.map_or_else(String::new, |shots| shots.to_string()),
        };
        if self.has_tasks && group.metrics.is_empty() {
            let Heading { name, version, .. } = heading;
            self.table.push(vec![name, version]);
        } else {
            self.push(&heading, &group.metrics);
        }
    }

    fn push(&mut self, heading: &Heading, metrics: &[AggregatedMetric]) {
        let mut metrics: Vec<_> = metrics.iter().collect();
        metrics.sort_by_key(|metric| format!("{},{}", metric.name, metric.filter));
        for (i, metric) in metrics.into_iter().enumerate() {
            let first = |text: &String| if i == 0 { text.clone() } else { String::new() };
            let direction = if metric.higher_is_better {
                "↑"
            } else {
                "↓"
            };
            self.table.push(vec![
                first(&heading.name),
                first(&heading.version),
                metric.filter.clone(),
                heading.num_fewshot.clone(),
                metric.name.clone(),
                direction.into(),
                number(metric.value),
                "±".into(),
                metric.stderr.map_or("N/A".into(), number),
            ]);
            self.count += 1;
        }
    }
}

/// Below a group a name is set in, a space a step.
fn indented(name: &str, depth: usize) -> String {
    match depth {
        0 => name.to_owned(),
        _ => format!("{}- {name}", " ".repeat(depth)),
    }
}

/// Four decimals, as lm-eval prints; numbers that nobody could read that way in powers of ten.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 1e9 {
        format!("{value:.4}")
    } else {
        format!("{value:.4e}")
    }
}

/// Whole versions without their ".0".
fn version(version: Option<&Value>, absent: &str) -> String {
    match version {
        None => absent.into(),
        Some(Value::String(text)) => text.clone(),
        Some(number) => number
            .as_f64()
            .map_or_else(|| number.to_string(), |number| number.to_string()),
    }
}
