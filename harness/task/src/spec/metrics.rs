//! `metric_list`: names to metrics; refuses metrics that do not exist, or do not fit the output type.

use serde_json::{Map, Value};

use super::fields::{flag, invalid, list, one_of, present};
use super::function::python;
use super::metric_table::AGGREGATIONS;
use super::{Aggregation, AnswerOptions, Metric, MetricFunction, MetricSpec, OutputType};
use crate::TaskError;
use crate::yaml::{Mapping, Node, NodeValue};

/// The keys of an item that are no options of the metric.
const OWN_KEYS: [&str; 4] = ["metric", "aggregation", "higher_is_better", "hf_evaluate"];

/// The options of `exact_match`, the only metric of lm-eval that takes any.
const EXACT_MATCH_OPTIONS: [&str; 4] = [
    "ignore_case",
    "ignore_punctuation",
    "ignore_numbers",
    "regexes_to_ignore",
];

/// Reads `metric_list`, or gives the output type's default.
pub(super) fn metric_list(
    mapping: &Mapping,
    output_type: OutputType,
) -> Result<Vec<MetricSpec>, TaskError> {
    let Some(node) = present(mapping, "metric_list") else {
        let defaults = output_type.default_metrics().iter();
        return Ok(defaults.map(|metric| by_default(*metric)).collect());
    };
    // With process_results, names are only those of its values.
    let processed = present(mapping, "process_results").is_some();
    let mut metrics: Vec<MetricSpec> = Vec::new();
    for item in list(node, "metric_list", "maps")? {
        let metric = metric_spec(item, output_type, processed)?;
        if metrics.iter().any(|known| known.name == metric.name) {
            return Err(invalid(
                item,
                format!("metric `{}` is listed twice", metric.name),
            ));
        }
        metrics.push(metric);
    }
    Ok(metrics)
}

fn by_default(metric: Metric) -> MetricSpec {
    let given = [("metric".to_owned(), Value::from(metric.name()))];
    MetricSpec {
        name: metric.name().to_owned(),
        function: MetricFunction::Known(metric),
        aggregation: metric.default_aggregation(),
        higher_is_better: metric.higher_is_better(),
        options: Map::new(),
        given: given.into_iter().collect(),
    }
}

fn metric_spec(
    item: &Node,
    output_type: OutputType,
    processed: bool,
) -> Result<MetricSpec, TaskError> {
    let NodeValue::Mapping(mapping) = &item.value else {
        return Err(item.wrong_type("metric_list", "maps with the key `metric`"));
    };
    let (name, function) = metric_function(item, mapping, output_type, processed)?;
    let known = Metric::named(&name);
    let spec = MetricSpec {
        aggregation: aggregation(item, mapping, &name, known)?,
        higher_is_better: flag(mapping, "higher_is_better")?
            .unwrap_or_else(|| known.is_none_or(Metric::higher_is_better)),
        options: options(mapping),
        given: match item.to_json() {
            Value::Object(given) => given,
            _ => Map::new(),
        },
        name,
        function,
    };
    refuse_evaluate(item, mapping, output_type, &spec)?;
    refuse_options(item, output_type, &spec)?;
    Ok(spec)
}

fn metric_function(
    item: &Node,
    mapping: &Mapping,
    output_type: OutputType,
    processed: bool,
) -> Result<(String, MetricFunction), TaskError> {
    let Some(node) = present(mapping, "metric") else {
        let message = "an item of metric_list needs the key `metric`".to_owned();
        return Err(invalid(item, message));
    };
    if let Some(function) = python(node) {
        let name = function.own_name().to_owned();
        return Ok((name, MetricFunction::Python(function)));
    }
    let Some(name) = node.as_str() else {
        return Err(node.wrong_type("metric", "the name of a metric"));
    };
    if processed {
        return Ok((name.to_owned(), MetricFunction::ProcessResults));
    }
    let metric = known_metric(name, item)?;
    if metric.fits(output_type) {
        return Ok((name.to_owned(), MetricFunction::Known(metric)));
    }
    let fitting = output_type.metric_names().join(", ");
    let message = format!("metric `{name}` does not fit the output_type, which has {fitting}");
    Err(invalid(item, message))
}

fn known_metric(name: &str, item: &Node) -> Result<Metric, TaskError> {
    if let Some(metric) = Metric::named(name) {
        return Ok(metric);
    }
    let instead = match name {
        "likelihood" | "acc_all" => Some("; upstream cannot aggregate it without Python"),
        "wer" => Some("; it is one of the Python package `evaluate`"),
        _ => None,
    };
    if let Some(instead) = instead {
        return Err(TaskError::Unsupported {
            at: item.at.clone(),
            what: format!("metric `{name}`"),
            instead,
        });
    }
    let hint = harness_spelling::hint(name, Metric::names());
    Err(invalid(item, format!("unknown metric `{name}`{hint}")))
}

fn aggregation(
    item: &Node,
    mapping: &Mapping,
    name: &str,
    known: Option<Metric>,
) -> Result<Aggregation, TaskError> {
    match (present(mapping, "aggregation"), known) {
        (Some(node), _) => match python(node) {
            Some(function) => Ok(Aggregation::Python(function)),
            None => one_of(node, "aggregation", &AGGREGATIONS),
        },
        (None, Some(metric)) => Ok(metric.default_aggregation()),
        (None, None) => {
            let message = format!(
                "metric `{name}` has no aggregation of its own: name one with the key `aggregation`"
            );
            Err(invalid(item, message))
        }
    }
}

fn options(mapping: &Mapping) -> Map<String, Value> {
    let others = mapping.iter().filter(|(key, ..)| !OWN_KEYS.contains(key));
    others
        .map(|(key, _, node)| (key.to_owned(), node.to_json()))
        .collect()
}

/// Refuses metrics of the `evaluate` package, of which only `exact_match` is the same as the metric here. Only generated
/// text ever reaches them upstream.
fn refuse_evaluate(
    item: &Node,
    mapping: &Mapping,
    output_type: OutputType,
    spec: &MetricSpec,
) -> Result<(), TaskError> {
    let other =
        matches!(spec.function, MetricFunction::Known(metric) if metric != Metric::ExactMatch);
    if other
        && output_type == OutputType::GenerateUntil
        && flag(mapping, "hf_evaluate")? == Some(true)
    {
        return Err(TaskError::Unsupported {
            at: item.at.clone(),
            what: format!("`hf_evaluate` of metric `{}`", spec.name),
            instead: "; leave it out for the built-in metric",
        });
    }
    Ok(())
}

/// Refuses options that `exact_match` and metrics of answers lack, and misspelt keys. Other metrics pass over their options, as upstream.
fn refuse_options(
    item: &Node,
    output_type: OutputType,
    spec: &MetricSpec,
) -> Result<(), TaskError> {
    if let (OutputType::Answer, MetricFunction::Known(metric)) = (output_type, &spec.function) {
        let read = AnswerOptions::read(*metric, &spec.options);
        return read.map(drop).map_err(|message| invalid(item, message));
    }
    let exact_match = spec.function == MetricFunction::Known(Metric::ExactMatch);
    for key in spec.options.keys() {
        let known = OWN_KEYS.into_iter().chain(EXACT_MATCH_OPTIONS);
        let hint = harness_spelling::hint(key, known);
        let unknown = exact_match || !hint.is_empty();
        if unknown && !EXACT_MATCH_OPTIONS.contains(&key.as_str()) {
            let message = format!("metric `{}` has no option `{key}`{hint}", spec.name);
            return Err(invalid(item, message));
        }
    }
    Ok(())
}
