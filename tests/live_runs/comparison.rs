//! What two runs have in common: the largest differences, and every place where one is too large.

use std::fmt;

use serde_json::{Value, json};

use crate::recording::{Recording, Written};

/// Between log-likelihoods, in nats; between what is computed of them, relative to the value where that is above 1.
const TOLERANCE: f64 = 2e-3;

/// Between log-likelihoods of whole texts, sums over thousands of tokens, relative to the value.
const ROLLING_TOLERANCE: f64 = 2e-5;

/// The outcome for one recording.
pub(crate) struct Comparison {
    name: String,
    documents: usize,
    loglikelihoods: usize,
    worst_loglikelihood: f64,
    texts: usize,
    other_texts: usize,
    metrics: usize,
    worst_metric: f64,
    scores: usize,
    worst_score: f64,
    /// Each difference that is too large, in words.
    pub(crate) wrong: Vec<String>,
}

/// How far two values are apart that should be the same but for the numbers in them; `None` where they are not.
fn distance(ours: &Value, theirs: &Value) -> Option<f64> {
    match (ours, theirs) {
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| distance(ours, theirs))
            .try_fold(0.0, |worst, next| Some(f64::max(worst, next?))),
        (Value::Number(ours), Value::Number(theirs)) => {
            Some((ours.as_f64()? - theirs.as_f64()?).abs())
        }
        (ours, theirs) => (ours == theirs).then_some(0.0),
    }
}

/// How far responses may be apart: a lone number is the log-likelihood of a whole text.
fn tolerance(recorded: &Value) -> f64 {
    match recorded.as_array().map(Vec::as_slice) {
        Some([Value::Number(logprob)]) => {
            TOLERANCE.max(ROLLING_TOLERANCE * logprob.as_f64().unwrap().abs())
        }
        _ => TOLERANCE,
    }
}

fn size(value: &Value) -> f64 {
    match value {
        Value::Array(items) => items.iter().map(size).fold(1.0, f64::max),
        value => value.as_f64().map_or(1.0, |value| value.abs().max(1.0)),
    }
}

/// A response as lm-eval has it in memory, out of the texts that a samples file has.
fn parsed(response: &Value) -> Value {
    match response {
        Value::Array(items) => items.iter().map(parsed).collect(),
        Value::String(text) => match text.as_str() {
            "True" => json!(true),
            "False" => json!(false),
            text => text
                .parse::<f64>()
                .map_or_else(|_| json!(text), |value| json!(value)),
        },
        other => other.clone(),
    }
}

/// `[["context", "continuation"], ...]` of `{"gen_args_0": {"arg_0": "context", ...}, ...}`.
fn arguments(sample: &Value) -> Value {
    let requests = sample["arguments"].as_object().unwrap().values();
    requests
        .map(|request| request.as_object().unwrap().values().cloned().collect())
        .collect::<Vec<Value>>()
        .into()
}

/// A target as a samples file has it.
fn text(target: &Value) -> Value {
    if target.is_string() {
        return target.clone();
    }
    target.to_string().into()
}

impl Comparison {
    pub(crate) const HEADER: &str = "| recording | documents | log-likelihoods | worst difference | texts | other texts \
                                     | metrics | worst difference | results | worst difference |\n\
                                     |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

    pub(crate) fn new(recording: &Recording, written: &Written) -> Self {
        let mut compared = Self {
            name: recording.name.clone(),
            documents: recording.samples.len(),
            loglikelihoods: 0,
            worst_loglikelihood: 0.0,
            texts: 0,
            other_texts: 0,
            metrics: 0,
            worst_metric: 0.0,
            scores: 0,
            worst_score: 0.0,
            wrong: Vec::new(),
        };
        compared.samples(recording, written);
        // Where a text differs, so may the scores.
        if compared.other_texts == 0 {
            compared.results(recording, written);
        }
        // Where there are fewer than twenty texts, none may differ.
        if 20 * compared.other_texts > compared.texts {
            let (other, all) = (compared.other_texts, compared.texts);
            compared.note(&format!("{other} of {all} texts differ"));
        }
        compared
    }

    fn note(&mut self, difference: &str) {
        self.wrong.push(format!("{}: {difference}", self.name));
    }

    fn samples(&mut self, recording: &Recording, written: &Written) {
        let pipelines = recording.samples[0]["filtered"].as_object().unwrap();
        let expected = pipelines.len() * self.documents;
        if written.samples.len() != expected {
            let lines = written.samples.len();
            return self.note(&format!("{lines} samples instead of {expected}"));
        }
        let per_pipeline = written.samples.chunks(self.documents);
        for (index, (pipeline, samples)) in pipelines.keys().zip(per_pipeline).enumerate() {
            for (ours, theirs) in samples.iter().zip(&recording.samples) {
                let place = format!("{pipeline}, document {}", theirs["doc_id"]);
                for (what, ours, theirs) in [
                    ("filter", &ours["filter"], &json!(pipeline)),
                    ("doc_id", &ours["doc_id"], &theirs["doc_id"]),
                    ("target", &ours["target"], &text(&theirs["target"])),
                    ("arguments", &arguments(ours), &theirs["arguments"]),
                ] {
                    if ours != theirs {
                        self.note(&format!("{place}: {what} {ours} instead of {theirs}"));
                    }
                }
                let agree = self.responses(&place, ours, theirs, index == 0);
                if agree {
                    self.filtered(&place, ours, &theirs["filtered"][pipeline]);
                    self.metrics(&place, ours, &theirs["metrics"][pipeline]);
                }
            }
        }
    }

    /// Whether the responses to all requests of a document agree; each pipeline has them again, so one of them `counts`.
    fn responses(&mut self, place: &str, ours: &Value, theirs: &Value, counts: bool) -> bool {
        let mut agree = true;
        let requests = ours["resps"].as_array().unwrap();
        let recorded = theirs["resps"].as_array().unwrap();
        for (ours, theirs) in requests.iter().zip(recorded) {
            if theirs[0].is_string() {
                let other = ours != theirs;
                agree &= !other;
                if counts {
                    self.texts += 1;
                    self.other_texts += usize::from(other);
                }
                if other && counts {
                    println!("{place}: {ours}\n  instead of {theirs}");
                }
                continue;
            }
            let apart = distance(&parsed(ours), theirs);
            self.loglikelihoods += usize::from(counts);
            self.worst_loglikelihood = self.worst_loglikelihood.max(apart.unwrap_or_default());
            if apart.is_none_or(|apart| apart > tolerance(theirs)) {
                agree = false;
                self.note(&format!("{place}: {ours} instead of {theirs}"));
            }
        }
        agree && requests.len() == recorded.len()
    }

    fn filtered(&mut self, place: &str, ours: &Value, theirs: &Value) {
        let ours = &ours["filtered_resps"];
        let is_text = theirs[0].is_string();
        let read = if is_text { ours.clone() } else { parsed(ours) };
        if distance(&read, theirs).is_none_or(|apart| apart > tolerance(theirs)) {
            self.note(&format!("{place}: filtered {ours} instead of {theirs}"));
        }
    }

    fn metrics(&mut self, place: &str, ours: &Value, theirs: &Value) {
        for (name, theirs) in theirs.as_object().unwrap() {
            let apart = distance(&ours[name], theirs).map(|apart| apart / size(theirs));
            self.metrics += 1;
            self.worst_metric = self.worst_metric.max(apart.unwrap_or_default());
            if apart.is_none_or(|apart| apart > TOLERANCE) {
                let ours = &ours[name];
                self.note(&format!("{place}: {name} {ours} instead of {theirs}"));
            }
        }
    }

    fn results(&mut self, recording: &Recording, written: &Written) {
        let task = &recording.task;
        for section in [
            "results",
            "versions",
            "n-shot",
            "higher_is_better",
            "n-samples",
        ] {
            let (ours, theirs) = (
                &written.results[section][task],
                &recording.results[section][task],
            );
            if section != "results" {
                if ours != theirs {
                    self.note(&format!("{section} {ours} instead of {theirs}"));
                }
                continue;
            }
            for (key, theirs) in theirs.as_object().unwrap() {
                let apart = distance(&ours[key], theirs).map(|apart| apart / size(theirs));
                self.scores += 1;
                self.worst_score = self.worst_score.max(apart.unwrap_or_default());
                if apart.is_none_or(|apart| apart > TOLERANCE) {
                    let ours = &ours[key];
                    self.note(&format!("results: {key} {ours} instead of {theirs}"));
                }
            }
            if ours.as_object().unwrap().len() != theirs.as_object().unwrap().len() {
                self.note(&format!("results {ours} instead of {theirs}"));
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} | {} | {:.1e} | {} | {} | {} | {:.1e} | {} | {:.1e} |",
            self.name,
            self.documents,
            self.loglikelihoods,
            self.worst_loglikelihood,
            self.texts,
            self.other_texts,
            self.metrics,
            self.worst_metric,
            self.scores,
            self.worst_score
        )
    }
}
