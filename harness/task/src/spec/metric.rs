//! The metrics and aggregations that exist, and an item of `metric_list`. Computes nothing; see `score`.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

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
    /// As `Acc`, on the scale where guessing is 0 and always right is 1.
    AccOverChance,
    /// The target's length-normalised probability.
    Probability,
    /// The target's mean negative log-likelihood, in nats a token.
    Loss,
    /// The share of the target that follows by itself once the rest is given.
    ExtractionStrength,
    /// The share of the target's tokens that are the most likely ones.
    ExactMemorisation,
    /// The negated mean of the target's least likely tokens' log-probabilities.
    MinK,
    /// The same of log-probabilities set against all others in their place.
    MinKPlusPlus,
    /// The target's loss over the bytes that it takes when compressed.
    Zlib,
    /// The probability of wrong answers over that of the paraphrased right one.
    TruthRatio,
    /// The share of the target's probability among its own and those of wrong answers.
    ProbabilityWithOptions,
    /// ROUGE-1 recall of the text generated.
    Rouge1Recall,
    /// ROUGE-L recall of the text generated.
    RougeLRecall,
    /// ROUGE-L F1 of the text generated.
    RougeLF1,
    /// As `RougeLF1`, of words as they are.
    VerbatimMemorisation,
    /// Whether the text generated refuses.
    RefusalRate,
    /// The share of different runs of words in the text generated.
    DistinctN,
    /// The share of runs of words in the text generated that were there before.
    RepetitionRate,
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
    /// Arithmetic mean of how close truth ratios are to 1.
    CloserToOneBetter,
    /// Arithmetic mean of how far truth ratios are below 1.
    TrueBetter,
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
