//! The metrics and aggregations that exist: one table each, with lm-eval's defaults. Computes nothing; see `score`.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::OutputType;
use super::function::PythonFunction;

/// A metric this crate computes from a document's responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Whether the most probable choice (or the greedy continuation) is the target.
    Acc,
    /// As `Acc`, with log-likelihoods per Unicode code point of the bare choice.
    AccNorm,
    /// As `Acc`, with log-likelihoods per UTF-8 byte of the bare choice.
    AccBytes,
    /// As `Acc`, with each choice's log-likelihood without context taken away.
    AccMutualInfo,
    /// Whether the text generated is the target, after what the options take away; of choices, whether the target is greedy.
    ExactMatch,
    /// Target and prediction, for an F1.
    F1,
    /// Target and prediction, for Matthews' correlation.
    Mcc,
    /// Target and probabilities of the choices.
    BrierScore,
    /// The target's log-likelihood.
    Perplexity,
    /// Log-likelihood and number of words.
    WordPerplexity,
    /// Log-likelihood and number of UTF-8 bytes.
    BytePerplexity,
    /// Log-likelihood and number of UTF-8 bytes.
    BitsPerByte,
    /// Target and generated text, for a corpus BLEU.
    Bleu,
    /// Target and generated text, for a corpus chrF.
    Chrf,
    /// Target and generated text, for a corpus chrF++.
    ChrfPlusPlus,
    /// Target and generated text, for a corpus TER.
    Ter,
    /// Nothing: the score is always 999.
    Bypass,
}

/// How a metric's per-document values become one number.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregation {
    /// Arithmetic mean.
    Mean,
    /// Arithmetic mean of what is no NaN (in Python; here NaN never comes so far).
    Nanmean,
    /// The upper median.
    Median,
    /// exp of the negated mean.
    Perplexity,
    /// exp of the negated sum of log-likelihoods over the sum of weights.
    WeightedPerplexity,
    /// Negated sum of log-likelihoods over the sum of bytes, in bits.
    BitsPerByte,
    /// Binary F1 of the label 1.
    F1,
    /// F1 over all labels, each weighted by its documents.
    WeightedF1,
    /// F1 over all labels, each weighted alike.
    MacroF1,
    /// F1 over all documents.
    MicroF1,
    /// Matthews' correlation coefficient.
    MatthewsCorrcoef,
    /// Mean squared distance between probabilities and target.
    BrierScore,
    /// Corpus BLEU.
    Bleu,
    /// Corpus chrF.
    Chrf,
    /// Corpus chrF with word bigrams.
    ChrfPlusPlus,
    /// Corpus translation edit rate.
    Ter,
    /// 999.
    Bypass,
    /// A Python function over the values.
    Python(PythonFunction),
}

/// Where a document's value of a metric comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricFunction {
    /// Computed here.
    Known(Metric),
    /// One of the values that `process_results` gives.
    ProcessResults,
    /// A Python function of target and response.
    Python(PythonFunction),
}

/// One item of `metric_list`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSpec {
    /// Name in results.
    pub name: String,
    /// What is computed per document.
    pub function: MetricFunction,
    /// What is computed over documents.
    pub aggregation: Aggregation,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// The item's other keys, which go to the metric.
    pub options: Map<String, Value>,
    /// The item as written.
    pub given: Map<String, Value>,
}

impl Serialize for MetricSpec {
    /// As written: lm-eval fills no defaults in there.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.given.serialize(serializer)
    }
}

/// What is known of a metric: name, default aggregation, default direction, and the output types it fits.
struct Row(
    Metric,
    &'static str,
    Aggregation,
    bool,
    &'static [OutputType],
);

use OutputType::{GenerateUntil, Loglikelihood, LoglikelihoodRolling, MultipleChoice};

/// `acc`, `f1` and `mcc` of generated text are pairs for an aggregation that can take them.
static METRICS: [Row; 17] = [
    Row(
        Metric::Acc,
        "acc",
        Aggregation::Mean,
        true,
        &[MultipleChoice, Loglikelihood, GenerateUntil],
    ),
    Row(
        Metric::AccNorm,
        "acc_norm",
        Aggregation::Mean,
        true,
        &[MultipleChoice],
    ),
    Row(
        Metric::AccBytes,
        "acc_bytes",
        Aggregation::Mean,
        true,
        &[MultipleChoice],
    ),
    Row(
        Metric::AccMutualInfo,
        "acc_mutual_info",
        Aggregation::Mean,
        true,
        &[MultipleChoice],
    ),
    Row(
        Metric::ExactMatch,
        "exact_match",
        Aggregation::Mean,
        true,
        &[GenerateUntil, MultipleChoice],
    ),
    Row(
        Metric::F1,
        "f1",
        Aggregation::F1,
        true,
        &[MultipleChoice, GenerateUntil],
    ),
    Row(
        Metric::Mcc,
        "mcc",
        Aggregation::MatthewsCorrcoef,
        true,
        &[MultipleChoice, GenerateUntil],
    ),
    Row(
        Metric::BrierScore,
        "brier_score",
        Aggregation::BrierScore,
        false,
        &[MultipleChoice],
    ),
    Row(
        Metric::Perplexity,
        "perplexity",
        Aggregation::Perplexity,
        false,
        &[Loglikelihood],
    ),
    Row(
        Metric::WordPerplexity,
        "word_perplexity",
        Aggregation::WeightedPerplexity,
        false,
        &[LoglikelihoodRolling],
    ),
    Row(
        Metric::BytePerplexity,
        "byte_perplexity",
        Aggregation::WeightedPerplexity,
        false,
        &[LoglikelihoodRolling],
    ),
    Row(
        Metric::BitsPerByte,
        "bits_per_byte",
        Aggregation::BitsPerByte,
        false,
        &[LoglikelihoodRolling],
    ),
    Row(
        Metric::Bleu,
        "bleu",
        Aggregation::Bleu,
        true,
        &[GenerateUntil],
    ),
    Row(
        Metric::Chrf,
        "chrf",
        Aggregation::Chrf,
        true,
        &[GenerateUntil],
    ),
    Row(
        Metric::ChrfPlusPlus,
        "chrf++",
        Aggregation::ChrfPlusPlus,
        true,
        &[GenerateUntil],
    ),
    Row(
        Metric::Ter,
        "ter",
        Aggregation::Ter,
        false,
        &[GenerateUntil],
    ),
    Row(
        Metric::Bypass,
        "bypass",
        Aggregation::Bypass,
        true,
        &[
            MultipleChoice,
            Loglikelihood,
            LoglikelihoodRolling,
            GenerateUntil,
        ],
    ),
];

/// The aggregations by name.
pub(super) static AGGREGATIONS: [(&str, Aggregation); 17] = [
    ("mean", Aggregation::Mean),
    ("nanmean", Aggregation::Nanmean),
    ("median", Aggregation::Median),
    ("perplexity", Aggregation::Perplexity),
    ("weighted_perplexity", Aggregation::WeightedPerplexity),
    ("bits_per_byte", Aggregation::BitsPerByte),
    ("f1", Aggregation::F1),
    ("weighted_f1", Aggregation::WeightedF1),
    ("macro_f1", Aggregation::MacroF1),
    ("micro_f1", Aggregation::MicroF1),
    ("matthews_corrcoef", Aggregation::MatthewsCorrcoef),
    ("brier_score", Aggregation::BrierScore),
    ("bleu", Aggregation::Bleu),
    ("chrf", Aggregation::Chrf),
    ("chrf++", Aggregation::ChrfPlusPlus),
    ("ter", Aggregation::Ter),
    ("bypass", Aggregation::Bypass),
];

impl Metric {
    fn row(self) -> &'static Row {
        // Every metric has a row: the table is ordered as the variants are, which a test holds.
        &METRICS[self as usize]
    }

    /// The name in `metric_list` and in results.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The metric of that name.
    pub fn named(name: &str) -> Option<Self> {
        METRICS.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The names of all metrics.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        METRICS.iter().map(|row| row.1)
    }

    pub(super) fn fits(self, output_type: OutputType) -> bool {
        self.row().4.contains(&output_type)
    }

    pub(super) fn default_aggregation(self) -> Aggregation {
        self.row().2.clone()
    }

    pub(super) fn higher_is_better(self) -> bool {
        self.row().3
    }
}

impl OutputType {
    /// The names of the metrics that its responses allow.
    pub(super) fn metric_names(self) -> Vec<&'static str> {
        let fitting = METRICS.iter().filter(|row| row.4.contains(&self));
        fitting.map(|row| row.1).collect()
    }

    /// Metrics of a task that names none.
    pub(super) fn default_metrics(self) -> &'static [Metric] {
        match self {
            MultipleChoice => &[Metric::Acc, Metric::AccNorm],
            Loglikelihood => &[Metric::Perplexity, Metric::Acc],
            LoglikelihoodRolling => &[
                Metric::WordPerplexity,
                Metric::BytePerplexity,
                Metric::BitsPerByte,
            ],
            GenerateUntil => &[Metric::ExactMatch],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::METRICS;

    #[test]
    fn the_rows_stand_in_the_order_of_the_variants() {
        for (index, row) in METRICS.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{}", row.1);
        }
    }
}
