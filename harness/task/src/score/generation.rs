//! Metrics of generated text: equality after what is ignored, pairs for corpus metrics, and Python's own metrics; refuses
//! targets that are no text.

use harness_metric::{ExactMatch, PythonRegex};
use serde_json::{Map, Value, json};

use super::DocumentScore;
use super::values::{is_true, misshapen, only, texts};
use crate::field::Row;
use crate::spec::{MetricFunction, PythonFunction};
use crate::template::python_str;
use crate::{DocumentRequests, Metric, MetricSpec, MetricValue, Task, TaskError, TaskSpec};

/// The options of a task's `exact_match`.
///
/// # Errors
/// On options of the wrong type and patterns that do not compile.
pub(crate) fn exact_match(spec: &TaskSpec) -> Result<ExactMatch, TaskError> {
    let known = |spec: &&MetricSpec| spec.function == MetricFunction::Known(Metric::ExactMatch);
    let Some(metric) = spec.metric_list.iter().find(known) else {
        return Ok(ExactMatch::default());
    };
    options(&metric.options).map_err(|message| TaskError::Task {
        task: spec.task.clone(),
        message: format!("metric `exact_match`: {message}"),
    })
}

fn options(options: &Map<String, Value>) -> Result<ExactMatch, String> {
    let flag = |name: &str| match options.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        // As Python has it: some of upstream's tasks write a list of marks where a flag belongs.
        Some(Value::String(text)) => Ok(!text.is_empty()),
        Some(other) => Err(format!("`{name}` takes true or false, not {other}")),
    };
    let pattern = |pattern: &Value| {
        let text = pattern
            .as_str()
            .ok_or_else(|| format!("`regexes_to_ignore` takes texts, not {pattern}"))?;
        PythonRegex::new(text).map_err(|error| error.to_string())
    };
    let patterns = match options.get("regexes_to_ignore") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(patterns)) => patterns,
        Some(other) => return Err(format!("`regexes_to_ignore` takes a list, not {other}")),
    };
    Ok(ExactMatch {
        regexes_to_ignore: patterns.iter().map(pattern).collect::<Result<_, _>>()?,
        ignore_case: flag("ignore_case")?,
        ignore_punctuation: flag("ignore_punctuation")?,
        ignore_numbers: flag("ignore_numbers")?,
    })
}

impl Task {
    pub(super) fn generation_scores(
        &self,
        row: &Row<'_>,
        document: &DocumentRequests,
        results: &[Value],
    ) -> Result<Vec<DocumentScore>, TaskError> {
        let result = only(row, results)?;
        let gold = self.gold_texts(row, &document.target)?;
        let mut scores = Vec::new();
        for (index, spec) in self.spec.metric_list.iter().enumerate() {
            let value = match &spec.function {
                MetricFunction::Known(Metric::ExactMatch) => {
                    self.exact_match_score(row, &gold, result)?
                }
                MetricFunction::Known(Metric::Bypass) => Value::Null,
                MetricFunction::Python(function) => {
                    self.python_score(function, spec, &gold, result)?
                }
                MetricFunction::Known(_) | MetricFunction::ProcessResults => json!([gold, result]),
            };
            match value {
                // Several values by name, all aggregated as the metric is.
                Value::Object(values) => scores.extend(values.into_iter().map(|(name, value)| {
                    let metric = MetricValue { name, value };
                    let spec = Some(index);
                    DocumentScore { spec, metric }
                })),
                value => scores.push(DocumentScore::of(index, spec, value)),
            }
        }
        Ok(scores)
    }

    /// The right text, or a list of right texts.
    fn gold_texts(&self, row: &Row<'_>, target: &Value) -> Result<Value, TaskError> {
        if self.turn.has_choices() {
            return Ok(match self.turn.answer_texts(row)? {
                texts if target.is_array() => json!(texts),
                texts => json!(texts.concat()),
            });
        }
        Ok(match target {
            Value::Array(texts) => texts.iter().map(python_str).collect(),
            text => json!(python_str(text)),
        })
    }

    /// 1 where any right text is met; of several responses to one right text, the share of them that meet it.
    fn exact_match_score(
        &self,
        row: &Row<'_>,
        gold: &Value,
        result: &Value,
    ) -> Result<Value, TaskError> {
        let responses = texts(result).ok_or_else(|| misshapen(row, result, "text"))?;
        let gold_texts = texts(gold).unwrap_or_default();
        let mut matching = 0;
        for response in &responses {
            let mut any = false;
            for gold in &gold_texts {
                let matches = self.exact_match.matches(gold, response);
                any |= matches.map_err(|error| row.error(format!("exact_match: {error}")))?;
            }
            matching += usize::from(any);
        }
        let share = f64::from(matching as u32) / responses.len().max(1) as f64;
        let several = gold.is_array();
        Ok(json!(if several && share > 0.0 { 1.0 } else { share }))
    }

    /// Of several right texts, 1 where the function's value of any of them counts as true.
    fn python_score(
        &self,
        function: &PythonFunction,
        spec: &MetricSpec,
        gold: &Value,
        result: &Value,
    ) -> Result<Value, TaskError> {
        let value_of = |gold: &Value| {
            self.bridge.call(function, |hooks| {
                hooks.metric(function, gold, result, &spec.options)
            })
        };
        let Value::Array(several) = gold else {
            return value_of(gold);
        };
        for gold in several {
            let value = value_of(gold)?;
            let own = value.get(&spec.name).unwrap_or(&value);
            if is_true(own) {
                return Ok(json!(1.0));
            }
        }
        Ok(json!(0.0))
    }
}
