//! Responses to samples, metrics and a task's result, one filter pipeline after the other; NaN, missing responses and gold
//! answers that are no choice are errors, never zeros.

mod aggregate;
mod answer;
mod choice;
mod generation;
mod likelihood;
mod values;

use harness_metric::MetricError;
use serde_json::Value;

pub(crate) use aggregate::BOOTSTRAP_REPLICATES;
pub(crate) use generation::exact_match;
pub(crate) use values::{loglikelihood, number};

use crate::field::Row;
use crate::filter::{Answered, Pipeline};
use crate::native;
use crate::spec::{Function, MetricFunction};
use crate::{
    AggregatedMetric, DocumentRequests, MetricSpec, MetricValue, OutputType, Request, Response,
    Sample, Task, TaskError, TaskResult, TaskScores,
};

/// A document's value, and the item of `metric_list` that says what becomes of it.
struct DocumentScore {
    spec: Option<usize>,
    metric: MetricValue,
}

/// A document's filtered responses, and its values.
type Scored = (Vec<Value>, Vec<DocumentScore>);

/// A document with its responses, gathered by request.
struct AnsweredDocument<'a> {
    document: &'a DocumentRequests,
    requests: Vec<Request>,
    responses: Vec<Vec<Response>>,
}

impl Task {
    /// Filters and scores the responses to [`Task::requests`]; `responses` are those to all requests of all documents, in
    /// their order.
    ///
    /// # Errors
    /// On a wrong number of responses, on NaN, on a gold answer that is none of the choices, on no documents, and where a
    /// filter or a metric does not fit what it gets.
    pub fn score(
        &self,
        documents: &[DocumentRequests],
        responses: &[Response],
    ) -> Result<TaskScores, TaskError> {
        let answered = self.by_document(documents, responses)?;
        let (mut samples, mut metrics) = (Vec::new(), Vec::new());
        for pipeline in &self.pipelines {
            let mut scores = Vec::with_capacity(answered.len());
            let own = self.pipeline_scores(pipeline, &answered)?;
            for (answered, (results, own)) in answered.iter().zip(own) {
                samples.push(answered.sample(&pipeline.name, results, &own));
                scores.push(own);
            }
            metrics.extend(self.aggregates(&pipeline.name, &scores)?);
        }
        Ok(TaskScores {
            samples,
            result: self.result(documents.len(), metrics),
        })
    }

    /// As [`Task::score`], for its errors about documents alone: nothing is aggregated.
    ///
    /// # Errors
    /// As [`Task::score`].
    pub fn check_scoring(
        &self,
        documents: &[DocumentRequests],
        responses: &[Response],
    ) -> Result<(), TaskError> {
        let answered = self.by_document(documents, responses)?;
        let mut pipelines = self.pipelines.iter();
        pipelines.try_for_each(|pipeline| self.pipeline_scores(pipeline, &answered).map(drop))
    }

    /// What a pipeline makes of each document.
    fn pipeline_scores(
        &self,
        pipeline: &Pipeline,
        answered: &[AnsweredDocument<'_>],
    ) -> Result<Vec<Scored>, TaskError> {
        let requests = answered.iter().flat_map(AnsweredDocument::requests);
        let filtered = pipeline.apply(&requests.collect::<Vec<_>>(), &self.bridge)?;
        let mut filtered = filtered.into_iter();
        let of_document = |answered: &AnsweredDocument<'_>| {
            let results: Vec<Value> = filtered.by_ref().take(answered.requests.len()).collect();
            let own = self.document_scores(answered.document, &results)?;
            Ok((results, own))
        };
        answered.iter().map(of_document).collect()
    }

    fn by_document<'a>(
        &self,
        documents: &'a [DocumentRequests],
        responses: &[Response],
    ) -> Result<Vec<AnsweredDocument<'a>>, TaskError> {
        let wanted: usize = documents
            .iter()
            .map(|document| document.requests.len())
            .sum();
        if documents.is_empty() || wanted != responses.len() {
            let given = responses.len();
            let message = format!(
                "{given} responses for {wanted} requests of {} documents",
                documents.len()
            );
            return Err(self.error(message));
        }
        let repeats = self.spec.repeats;
        let mut rest = responses;
        let gather = |document: &'a DocumentRequests| {
            let (own, others) = rest.split_at(document.requests.len());
            rest = others;
            AnsweredDocument {
                document,
                requests: document.requests.iter().step_by(repeats).cloned().collect(),
                responses: own.chunks(repeats).map(<[Response]>::to_vec).collect(),
            }
        };
        Ok(documents.iter().map(gather).collect())
    }

    /// The values of one document.
    fn document_scores(
        &self,
        document: &DocumentRequests,
        results: &[Value],
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let row = self.row(document.doc_id, &document.document);
        if let Some(function) = &self.spec.process_results {
            return self.processed(function, &row, results);
        }
        match self.spec.output_type {
            OutputType::MultipleChoice => self.choice_scores(&row, document, results),
            OutputType::Loglikelihood => self.likelihood_scores(&row, document, results),
            OutputType::LoglikelihoodRolling => self.rolling_scores(&row, document, results),
            OutputType::GenerateUntil => self.generation_scores(&row, document, results),
            OutputType::Answer => self.answer_scores(&row, document, results),
        }
    }

    fn processed(
        &self,
        function: &Function,
        row: &Row<'_>,
        results: &[Value],
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let values = match function {
            Function::Native(function) => native::process_results(function, row.document, results)
                .map_err(|message| row.error(format!("process_results: {message}")))?,
            Function::Python(function) => self.bridge.call(function, |hooks| {
                hooks.process_results(function, row.document, results)
            })?,
        };
        let specs = &self.spec.metric_list;
        let score = |(name, value): (String, Value)| DocumentScore {
            spec: specs.iter().position(|spec| spec.name == name),
            metric: MetricValue { name, value },
        };
        Ok(values.into_iter().map(score).collect())
    }

    /// One value for each metric that is computed here; `compute` fails in words of the document.
    fn each_metric(
        &self,
        doc_id: usize,
        compute: impl Fn(crate::Metric) -> Result<Value, MetricError>,
    ) -> Result<Vec<DocumentScore>, TaskError> {
        self.each_metric_with(doc_id, |metric, _| Ok(compute(metric)))
    }

    /// As [`Self::each_metric`], with the item of `metric_list`.
    fn each_metric_with(
        &self,
        doc_id: usize,
        compute: impl Fn(crate::Metric, &MetricSpec) -> Result<Result<Value, MetricError>, TaskError>,
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let mut scores = Vec::new();
        for (index, spec) in self.spec.metric_list.iter().enumerate() {
            let MetricFunction::Known(metric) = spec.function else {
                let message = format!(
                    "metric `{}` needs output_type generate_until, or process_results",
                    spec.name
                );
                return Err(self.error(message));
            };
            let value = compute(metric, spec)?.map_err(|source| TaskError::Score {
                task: self.spec.task.clone(),
                doc_id,
                source,
            })?;
            scores.push(DocumentScore::of(index, spec, value));
        }
        Ok(scores)
    }

    /// The aggregates of one pipeline, in the order of the first document's values.
    fn aggregates(
        &self,
        filter: &str,
        documents: &[Vec<DocumentScore>],
    ) -> Result<Vec<AggregatedMetric>, TaskError> {
        let mut columns: Vec<(&str, Option<usize>)> = Vec::new();
        for score in documents.iter().flatten() {
            let name = score.metric.name.as_str();
            if !columns.iter().any(|(known, _)| *known == name) {
                columns.push((name, score.spec));
            }
        }
        let aggregate = |(name, spec): (&str, Option<usize>)| {
            let of_document = |scores: &Vec<DocumentScore>| {
                let score = scores.iter().find(|score| score.metric.name == name);
                score.map(|score| score.metric.value.clone())
            };
            let values: Vec<Value> = documents.iter().filter_map(of_document).collect();
            let spec = spec.map(|index| &self.spec.metric_list[index]);
            let (value, stderr) = self.aggregate(name, spec, &values)?;
            Ok(AggregatedMetric {
                name: name.to_owned(),
                filter: filter.to_owned(),
                value,
                stderr,
                documents: values.len(),
                higher_is_better: spec.is_none_or(|spec| spec.higher_is_better),
            })
        };
        columns.into_iter().map(aggregate).collect()
    }

    fn result(&self, documents: usize, metrics: Vec<AggregatedMetric>) -> TaskResult {
        let spec = &self.spec;
        TaskResult {
            task: spec.task.clone(),
            alias: spec.task_alias.clone().unwrap_or_else(|| spec.task.clone()),
            version: spec.version().cloned(),
            effective_documents: documents,
            original_documents: self.documents().len(),
            metrics,
        }
    }

    pub(crate) fn error(&self, message: String) -> TaskError {
        TaskError::Task {
            task: self.spec.task.clone(),
            message,
        }
    }
}

impl DocumentScore {
    fn of(index: usize, spec: &MetricSpec, value: Value) -> Self {
        let name = spec.name.clone();
        Self {
            spec: Some(index),
            metric: MetricValue { name, value },
        }
    }
}

impl AnsweredDocument<'_> {
    /// What filters see of each request.
    fn requests(&self) -> impl Iterator<Item = Answered<'_>> {
        self.responses.iter().map(|responses| Answered {
            document: &self.document.document,
            doc_id: self.document.doc_id,
            responses: responses.iter().map(Response::to_value).collect(),
        })
    }

    fn sample(&self, filter: &str, filtered: Vec<Value>, scores: &[DocumentScore]) -> Sample {
        Sample {
            doc_id: self.document.doc_id,
            document: self.document.document.clone(),
            target: self.document.target.clone(),
            requests: self.requests.clone(),
            responses: self.responses.clone(),
            filter: filter.to_owned(),
            filtered_responses: filtered,
            metrics: scores.iter().map(|score| score.metric.clone()).collect(),
        }
    }
}
