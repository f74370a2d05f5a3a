//! Options of the metrics of answers, and what their requests must bring. Refuses options that a metric does not have.

use serde_json::{Map, Value};

use super::{Metric, MetricFunction, OutputType, TaskSpec};

/// Open-unlearning's share of tokens for Min-K%, unless its configuration says otherwise.
const SHARE: f64 = 0.2;

/// What a metric of answers can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AnswerOptions {
    /// Whether the token that ends texts counts as one of the answer's.
    pub(crate) end_of_text: bool,
    /// Whether extraction strength is at least that of one token.
    pub(crate) one_token_floor: bool,
    /// Of Min-K%, between 0 and 1.
    pub(crate) share: f64,
    /// Whether ROUGE compares stems.
    pub(crate) stems: bool,
    /// Words of a run.
    pub(crate) order: usize,
}

impl AnswerOptions {
    /// Reads a metric's options; open-unlearning's defaults are those that are not given.
    ///
    /// # Errors
    /// In words, on options that the metric lacks and values of the wrong kind.
    pub(crate) fn read(metric: Metric, given: &Map<String, Value>) -> Result<Self, String> {
        let known = names(metric);
        if let Some(key) = given.keys().find(|key| !known.contains(&key.as_str())) {
            let hint = harness_spelling::hint(key, known.iter().copied());
            return Err(format!(
                "metric `{}` has no option `{key}`{hint}",
                metric.name()
            ));
        }
        let flag = |name: &str, default: bool| match given.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(format!("`{name}` takes true or false, not {other}")),
        };
        let share = match given.get("k").map(|value| (value, value.as_f64())) {
            None => SHARE,
            Some((_, Some(share))) if share > 0.0 && share <= 1.0 => share,
            Some((value, _)) => return Err(format!("`k` takes a share up to 1, not {value}")),
        };
        let order = match given.get("n").map(|value| (value, value.as_u64())) {
            None if metric == Metric::RepetitionRate => 4,
            None => 2,
            Some((_, Some(order))) if order > 0 => order as usize,
            Some((value, _)) => return Err(format!("`n` takes a number from 1, not {value}")),
        };
        Ok(Self {
            end_of_text: flag("end_of_text", counts_end_of_text(metric))?,
            one_token_floor: flag("one_token_floor", false)?,
            share,
            stems: flag("use_stemmer", metric != Metric::VerbatimMemorisation)?,
            order,
        })
    }
}

/// Whether the token that ends texts counts, unless a task says otherwise.
fn counts_end_of_text(metric: Metric) -> bool {
    !matches!(
        metric,
        Metric::ExtractionStrength
            | Metric::ExactMemorisation
            | Metric::MinK
            | Metric::MinKPlusPlus
    )
}

fn names(metric: Metric) -> &'static [&'static str] {
    match metric {
        Metric::Probability
        | Metric::Loss
        | Metric::ExactMemorisation
        | Metric::Zlib
        | Metric::TruthRatio
        | Metric::ProbabilityWithOptions => &["end_of_text"],
        Metric::ExtractionStrength => &["end_of_text", "one_token_floor"],
        Metric::MinK | Metric::MinKPlusPlus => &["end_of_text", "k"],
        Metric::Rouge1Recall
        | Metric::RougeLRecall
        | Metric::RougeLF1
        | Metric::VerbatimMemorisation => &["use_stemmer"],
        Metric::DistinctN | Metric::RepetitionRate => &["n"],
        _ => &[],
    }
}

/// What is asked of the target, each more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TargetNeed {
    #[default]
    Nothing,
    /// Its tokens' log-probabilities.
    Tokens,
    /// Also how they stand against all others in their places.
    Standardised,
}

/// What the requests of a document must ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerNeeds {
    /// Of the target.
    pub(crate) target: TargetNeed,
    /// The paraphrased answer's tokens.
    pub(crate) paraphrase: bool,
    /// The wrong answers' tokens.
    pub(crate) wrong: bool,
    /// A text that the model writes.
    pub(crate) text: bool,
}

impl AnswerNeeds {
    /// Those of a task's metrics; none where it is not about answers.
    pub(crate) fn of(spec: &TaskSpec) -> Self {
        let mut needs = Self::default();
        if spec.output_type != OutputType::Answer {
            return needs;
        }
        for metric in &spec.metric_list {
            let MetricFunction::Known(metric) = metric.function else {
                continue;
            };
            match metric {
                Metric::Rouge1Recall
                | Metric::RougeLRecall
                | Metric::RougeLF1
                | Metric::VerbatimMemorisation
                | Metric::RefusalRate
                | Metric::DistinctN
                | Metric::RepetitionRate => needs.text = true,
                Metric::TruthRatio => {
                    needs.wrong = true;
                    needs.paraphrase |= spec.doc_to_paraphrase.is_some();
                    if spec.doc_to_paraphrase.is_none() {
                        needs.target = needs.target.max(TargetNeed::Tokens);
                    }
                }
                Metric::ProbabilityWithOptions => {
                    needs.wrong = true;
                    needs.target = needs.target.max(TargetNeed::Tokens);
                }
                Metric::MinKPlusPlus => needs.target = TargetNeed::Standardised,
                _ => needs.target = needs.target.max(TargetNeed::Tokens),
            }
        }
        needs
    }
}
