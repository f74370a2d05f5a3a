//! lm-eval's table of results, as its users know it from the terminal.

use serde_json::Value;

use crate::eval_results::{EvalRun, ScoredTask};
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

/// The line that names model and settings, and the table of metrics.
pub fn eval_table(run: &EvalRun) -> String {
    let limit = run.limit.map_or("None".into(), |limit| limit.to_string());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let arguments = run.model.arguments();
    let arguments: Vec<String> = arguments
        .iter()
        .map(|(name, value)| format!("{name}={}", text(value)))
        .collect();
    let mut table = Table::new(&HEADERS);
    let mut tasks: Vec<&ScoredTask> = run.tasks.iter().collect();
    tasks.sort_by(|a, b| a.spec.task.cmp(&b.spec.task));
    for task in tasks {
        push_task(&mut table, task);
    }
    format!(
        "hf ({}), limit: {limit}, batch_size: {}\n{}",
        arguments.join(","),
        run.batch_size,
        table.markdown()
    )
}

fn push_task(table: &mut Table, task: &ScoredTask) {
    let result = &task.evaluation.result;
    let mut metrics: Vec<_> = result.metrics.iter().collect();
    metrics.sort_by_key(|metric| format!("{},{}", metric.name, metric.filter));
    for (i, metric) in metrics.into_iter().enumerate() {
        let first = |text: String| if i == 0 { text } else { String::new() };
        table.push(vec![
            first(result.alias.clone()),
            first(version(result.version.as_ref())),
            metric.filter.clone(),
            task.num_fewshot.to_string(),
            metric.name.clone(),
            if metric.higher_is_better {
                "↑"
            } else {
                "↓"
            }
            .into(),
            number(metric.value),
            "±".into(),
            metric.stderr.map_or("N/A".into(), number),
        ]);
    }
}

/// Four decimals, as lm-eval prints; numbers that nobody could read that way in powers of ten.
fn number(value: f64) -> String {
    if value.abs() < 1e9 {
        format!("{value:.4}")
    } else {
        format!("{value:.4e}")
    }
}

/// Whole versions without their ".0".
fn version(version: Option<&Value>) -> String {
    match version {
        None => "Yaml".into(),
        Some(Value::String(text)) => text.clone(),
        Some(number) => number
            .as_f64()
            .map_or_else(|| number.to_string(), |number| number.to_string()),
    }
}
