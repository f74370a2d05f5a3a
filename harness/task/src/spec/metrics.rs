//! `metric_list`: names to metrics; refuses metrics that do not exist, are not implemented, or do not fit the output
//! type.

use super::fields::{flag, one_of, present, text};
use super::{Aggregation, Metric, MetricSpec, OutputType, keys};

use crate::TaskError;
use crate::yaml::{Mapping, Node, NodeValue};

const METRICS: [Metric; 4] = [
    Metric::Acc,
    Metric::AccNorm,
    Metric::AccBytes,
    Metric::Perplexity,
];

/// lm-eval's metrics that are not implemented.
const REFUSED_METRICS: [&str; 14] = [
    "acc_mutual_info",
    "exact_match",
    "likelihood",
    "word_perplexity",
    "byte_perplexity",
    "bits_per_byte",
    "brier_score",
    "mcc",
    "f1",
    "bleu",
    "chrf",
    "ter",
    "acc_all",
    "bypass",
];

impl OutputType {
    /// Metrics that its responses allow.
    fn metrics(self) -> &'static [Metric] {
        match self {
            Self::MultipleChoice => &[Metric::Acc, Metric::AccNorm, Metric::AccBytes],
            Self::Loglikelihood => &[Metric::Perplexity, Metric::Acc],
        }
    }

    /// Metrics of a task that names none.
    fn default_metrics(self) -> [Metric; 2] {
        match self {
            Self::MultipleChoice => [Metric::Acc, Metric::AccNorm],
            Self::Loglikelihood => [Metric::Perplexity, Metric::Acc],
        }
    }
}

impl Metric {
    fn with_defaults(self) -> MetricSpec {
        let aggregation = if self == Self::Perplexity {
            Aggregation::Perplexity
        } else {
            Aggregation::Mean
        };
        MetricSpec {
            metric: self,
            aggregation,
            higher_is_better: self != Self::Perplexity,
        }
    }
}

/// Reads `metric_list`, or gives the output type's default.
pub(super) fn metric_list(
    mapping: &Mapping,
    output_type: OutputType,
) -> Result<Vec<MetricSpec>, TaskError> {
    let Some(node) = present(mapping, "metric_list") else {
        return Ok(output_type
            .default_metrics()
            .map(Metric::with_defaults)
            .to_vec());
    };
    let NodeValue::Sequence(items) = &node.value else {
        return Err(node.wrong_type("metric_list", "a list of maps"));
    };
    if items.is_empty() {
        let message = "metric_list is empty: leave the key out for the default metrics".to_owned();
        let at = node.at.clone();
        return Err(TaskError::Yaml { at, message });
    }
    let mut metrics: Vec<MetricSpec> = Vec::new();
    for item in items {
        let metric = metric_spec(item, output_type)?;
        if metrics.iter().any(|known| known.metric == metric.metric) {
            let message = format!("metric `{}` is listed twice", metric.metric.name());
            return Err(TaskError::Yaml {
                at: item.at.clone(),
                message,
            });
        }
        metrics.push(metric);
    }
    Ok(metrics)
}

fn metric_spec(item: &Node, output_type: OutputType) -> Result<MetricSpec, TaskError> {
    let NodeValue::Mapping(mapping) = &item.value else {
        return Err(item.wrong_type("metric_list", "maps with the key `metric`"));
    };
    keys::check(mapping, &keys::METRIC)?;
    let name = text(mapping, "metric")?.ok_or_else(|| {
        let message = "an item of metric_list needs the key `metric`".to_owned();
        TaskError::Yaml {
            at: item.at.clone(),
            message,
        }
    })?;
    let metric = known_metric(&name, item)?;
    if !output_type.metrics().contains(&metric) {
        let fitting: Vec<&str> = output_type
            .metrics()
            .iter()
            .map(|metric| metric.name())
            .collect();
        let message = format!(
            "metric `{name}` does not fit the output_type, which has {}",
            fitting.join(", ")
        );
        return Err(TaskError::Yaml {
            at: item.at.clone(),
            message,
        });
    }
    let mut spec = metric.with_defaults();
    if let Some(node) = present(mapping, "aggregation") {
        let names = [
            ("mean", Aggregation::Mean),
            ("perplexity", Aggregation::Perplexity),
        ];
        spec.aggregation = one_of(node, "aggregation", &names)?;
    }
    if let Some(higher_is_better) = flag(mapping, "higher_is_better")? {
        spec.higher_is_better = higher_is_better;
    }
    Ok(spec)
}

fn known_metric(name: &str, item: &Node) -> Result<Metric, TaskError> {
    if let Some(metric) = METRICS.into_iter().find(|metric| metric.name() == name) {
        return Ok(metric);
    }
    let at = item.at.clone();
    if REFUSED_METRICS.contains(&name) {
        return Err(TaskError::Unsupported {
            at,
            what: format!("metric `{name}`"),
            instead: "",
        });
    }
    let hint = harness_spelling::hint(
        name,
        METRICS
            .iter()
            .map(|metric| metric.name())
            .chain(REFUSED_METRICS),
    );
    Err(TaskError::Yaml {
        at,
        message: format!("unknown metric `{name}`{hint}"),
    })
}
