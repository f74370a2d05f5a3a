//! Responses to metrics, and metrics to a task's result; NaN, missing responses and gold answers that are no choice are
//! errors, never zeros.

use harness_metric::{
    MetricError, argmax, argmax_per_byte, argmax_per_char, bootstrap_stderr, mean, mean_stderr,
    perplexity,
};
use serde_json::Value;

use crate::field::{Question, Row};
use crate::template::python_str;
use crate::{
    AggregatedMetric, Aggregation, DocumentRequests, Metric, MetricSpec, MetricValue, OutputType,
    Response, Sample, Task, TaskError, TaskResult,
};

/// The name of lm-eval's pipeline that changes nothing.
const NO_FILTER: &str = "none";

/// Bootstrap replicates, as lm-eval's command line uses.
const BOOTSTRAP_REPLICATES: usize = 100_000;

impl Task {
    /// The metrics of one document, in the order of `metric_list`.
    ///
    /// # Errors
    /// On a wrong number of responses, on NaN, and on a gold answer that is none of the choices.
    pub fn score(
        &self,
        document: &DocumentRequests,
        responses: &[Response],
    ) -> Result<Vec<MetricValue>, TaskError> {
        let row = self.row(document.doc_id, &document.document);
        if responses.len() != document.requests.len() {
            let message = format!(
                "{} responses for {} requests",
                responses.len(),
                document.requests.len()
            );
            return Err(row.error(message));
        }
        let metrics = self.spec.metric_list.iter().map(|spec| spec.metric);
        match self.spec.output_type {
            OutputType::MultipleChoice => {
                let choices = self.turn.choices(&row)?;
                let gold = self.gold_choices(&row, document, &choices)?;
                let logprobs: Vec<f64> = responses.iter().map(logprob).collect();
                metrics
                    .map(|metric| {
                        self.choice_metric(metric, document.doc_id, &logprobs, &choices, &gold)
                    })
                    .collect()
            }
            OutputType::Loglikelihood => {
                let [response] = responses else {
                    return Err(row.error("more than one response".to_owned()));
                };
                metrics
                    .map(|metric| self.target_metric(metric, document.doc_id, *response))
                    .collect()
            }
        }
    }

    /// Scores a document and keeps everything that led to the score.
    ///
    /// # Errors
    /// As [`Task::score`].
    pub fn sample(
        &self,
        document: &DocumentRequests,
        responses: &[Response],
    ) -> Result<Sample, TaskError> {
        Ok(Sample {
            doc_id: document.doc_id,
            document: document.document.clone(),
            target: document.target.clone(),
            requests: document.requests.clone(),
            responses: responses.to_vec(),
            filter: NO_FILTER.to_owned(),
            metrics: self.score(document, responses)?,
        })
    }

    /// The task's result from the metrics of its documents.
    ///
    /// # Errors
    /// On no documents, and on a document without one of the task's metrics.
    pub fn aggregate(&self, documents: &[Vec<MetricValue>]) -> Result<TaskResult, TaskError> {
        let metrics = self
            .spec
            .metric_list
            .iter()
            .map(|&spec| self.aggregate_metric(spec, documents));
        Ok(TaskResult {
            task: self.spec.task.clone(),
            alias: self
                .spec
                .task_alias
                .clone()
                .unwrap_or_else(|| self.spec.task.clone()),
            version: self.spec.version().cloned(),
            effective_documents: documents.len(),
            original_documents: self.documents().len(),
            metrics: metrics.collect::<Result<_, _>>()?,
        })
    }

    fn choice_metric(
        &self,
        metric: Metric,
        doc_id: usize,
        logprobs: &[f64],
        choices: &[String],
        gold: &[usize],
    ) -> Result<MetricValue, TaskError> {
        let preferred = match metric {
            Metric::AccNorm => argmax_per_char(logprobs, choices),
            Metric::AccBytes => argmax_per_byte(logprobs, choices),
            Metric::Acc | Metric::Perplexity => argmax(logprobs),
        };
        let preferred = preferred.map_err(|source| self.score_error(doc_id, source))?;
        Ok(value(
            metric,
            if gold.contains(&preferred) { 1.0 } else { 0.0 },
        ))
    }

    fn target_metric(
        &self,
        metric: Metric,
        doc_id: usize,
        response: Response,
    ) -> Result<MetricValue, TaskError> {
        let Response::Loglikelihood { logprob, is_greedy } = response;
        mean(&[logprob]).map_err(|source| self.score_error(doc_id, source))?;
        match metric {
            Metric::Perplexity => Ok(value(metric, logprob)),
            _ => Ok(value(metric, if is_greedy { 1.0 } else { 0.0 })),
        }
    }

    fn score_error(&self, doc_id: usize, source: MetricError) -> TaskError {
        TaskError::Score {
            task: self.spec.task.clone(),
            doc_id,
            source,
        }
    }

    /// Indices of the right choices: several where the target is a list.
    fn gold_choices(
        &self,
        row: &Row<'_>,
        document: &DocumentRequests,
        choices: &[String],
    ) -> Result<Vec<usize>, TaskError> {
        if let Question::Choice(index) = self.turn.question(row)? {
            return gold_choice(row, &index.into(), choices).map(|gold| vec![gold]);
        }
        match &document.target {
            Value::Array(targets) => targets
                .iter()
                .map(|target| gold_choice(row, target, choices))
                .collect(),
            target => gold_choice(row, target, choices).map(|gold| vec![gold]),
        }
    }

    fn aggregate_metric(
        &self,
        spec: MetricSpec,
        documents: &[Vec<MetricValue>],
    ) -> Result<AggregatedMetric, TaskError> {
        let name = spec.metric.name();
        let of_document = |metrics: &Vec<MetricValue>| {
            metrics
                .iter()
                .find(|metric| metric.name == name)
                .map(|m| m.value)
        };
        let Some(values) = documents
            .iter()
            .map(of_document)
            .collect::<Option<Vec<f64>>>()
        else {
            let message = format!("a document without the metric `{name}`");
            return Err(TaskError::Task {
                task: self.spec.task.clone(),
                message,
            });
        };
        let (value, stderr) =
            aggregate(spec.aggregation, &values).map_err(|source| TaskError::Aggregate {
                task: self.spec.task.clone(),
                metric: name.to_owned(),
                source,
            })?;
        Ok(AggregatedMetric {
            name: name.to_owned(),
            filter: NO_FILTER.to_owned(),
            value,
            stderr,
            higher_is_better: spec.higher_is_better,
        })
    }
}

fn aggregate(aggregation: Aggregation, values: &[f64]) -> Result<(f64, Option<f64>), MetricError> {
    match aggregation {
        Aggregation::Mean => Ok((mean(values)?, mean_stderr(values)?)),
        Aggregation::Perplexity => Ok((
            perplexity(values)?,
            bootstrap_stderr(values, BOOTSTRAP_REPLICATES, perplexity)?,
        )),
    }
}

fn value(metric: Metric, value: f64) -> MetricValue {
    MetricValue {
        name: metric.name().to_owned(),
        value,
    }
}

fn logprob(response: &Response) -> f64 {
    match response {
        Response::Loglikelihood { logprob, .. } => *logprob,
    }
}

/// The index of a gold answer, which is an index itself or a choice's text.
fn gold_choice(row: &Row<'_>, target: &Value, choices: &[String]) -> Result<usize, TaskError> {
    let index = match target {
        Value::Number(index) => index.as_u64().map(|index| index as usize),
        Value::String(text) => choices.iter().position(|choice| choice == text),
        _ => None,
    };
    index.filter(|&index| index < choices.len()).ok_or_else(|| {
        row.error(format!(
            "doc_to_target gave {}, which is none of the {} choices",
            python_str(target),
            choices.len()
        ))
    })
}
