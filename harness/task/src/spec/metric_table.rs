//! What is known of each metric and aggregation: one table each, with lm-eval's defaults, and open-unlearning's for metrics of
//! answers. Computes nothing.

use super::{Aggregation, Metric, OutputType};

/// What is known of a metric: name, default aggregation, default direction, and the output types it fits.
struct Row(
    Metric,
    &'static str,
    Aggregation,
    bool,
    &'static [OutputType],
);

use OutputType::{Answer, GenerateUntil, Loglikelihood, LoglikelihoodRolling, MultipleChoice};

/// `acc`, `f1` and `mcc` of generated text are pairs for an aggregation that can take them.
static METRICS: [Row; 34] = [
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
    Row(
        Metric::AccOverChance,
        "acc_over_chance",
        Aggregation::Mean,
        true,
        &[MultipleChoice],
    ),
    Row(
        Metric::Probability,
        "probability",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(Metric::Loss, "loss", Aggregation::Mean, false, &[Answer]),
    Row(
        Metric::ExtractionStrength,
        "extraction_strength",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(
        Metric::ExactMemorisation,
        "exact_memorization",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(Metric::MinK, "min_k", Aggregation::Mean, false, &[Answer]),
    Row(
        Metric::MinKPlusPlus,
        "min_k_plus_plus",
        Aggregation::Mean,
        false,
        &[Answer],
    ),
    Row(Metric::Zlib, "zlib", Aggregation::Mean, false, &[Answer]),
    Row(
        Metric::TruthRatio,
        "truth_ratio",
        Aggregation::CloserToOneBetter,
        true,
        &[Answer],
    ),
    Row(
        Metric::ProbabilityWithOptions,
        "probability_w_options",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(
        Metric::Rouge1Recall,
        "rouge1_recall",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(
        Metric::RougeLRecall,
        "rougeL_recall",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(
        Metric::RougeLF1,
        "rougeL_f1",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(
        Metric::VerbatimMemorisation,
        "verbatim_memorization",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(
        Metric::RefusalRate,
        "refusal_rate",
        Aggregation::Mean,
        false,
        &[Answer],
    ),
    Row(
        Metric::DistinctN,
        "distinct_n",
        Aggregation::Mean,
        true,
        &[Answer],
    ),
    Row(
        Metric::RepetitionRate,
        "repetition_rate",
        Aggregation::Mean,
        false,
        &[Answer],
    ),
];

/// The aggregations by name.
pub(super) static AGGREGATIONS: [(&str, Aggregation); 19] = [
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
    ("closer_to_1_better", Aggregation::CloserToOneBetter),
    ("true_better", Aggregation::TrueBetter),
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
            Answer => &[
                Metric::Probability,
                Metric::ExtractionStrength,
                Metric::ExactMemorisation,
            ],
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
