//! From the documents' values to one number with its standard error, as lm-eval computes both; refuses values of a form
//! that the aggregation does not take.

use harness_metric::{BleuCounts, BleuTokenizer, Chrf, ChrfCounts, TerCounts, bleu, chrf, ter};
use harness_metric::{
    F1Average, MetricError, averaged_f1, binary_f1, bits_per_byte, bootstrap_stderr, brier_score,
    matthews_correlation, mean, mean_stderr, median, nanmean, perplexity, truth_ratio_advantage,
    truth_ratio_closeness, weighted_perplexity,
};
use serde_json::Value;

use super::values::{Label, logprob, number, texts};
use crate::template::python_str;
use crate::{Aggregation, MetricSpec, Task, TaskError};

/// Bootstrap replicates, as lm-eval's command line uses.
pub(crate) const BOOTSTRAP_REPLICATES: usize = 100_000;

/// At most so many of corpus metrics, which are slow; it goes by the metric's name.
const FEW_REPLICATES: usize = 100;

/// The score of a metric that computes nothing.
const BYPASS: f64 = 999.0;

/// The share of a class among the values: from gold and prediction to small numbers.
struct Labels {
    pairs: Vec<(usize, usize)>,
    /// The number of the label 1; one that does not occur, if there is none.
    positive: usize,
}

/// Why there is no aggregate.
enum Failure {
    Metric(MetricError),
    /// This value is not of the form that is needed.
    Form(Value, &'static str),
}

impl From<MetricError> for Failure {
    fn from(error: MetricError) -> Self {
        Self::Metric(error)
    }
}

type Aggregate = (f64, Option<f64>);

impl Task {
    /// The aggregate and its standard error, where there is a known one. Without an item of `metric_list`, the mean.
    pub(super) fn aggregate(
        &self,
        name: &str,
        spec: Option<&MetricSpec>,
        values: &[Value],
    ) -> Result<Aggregate, TaskError> {
        let mean = Aggregation::Mean;
        let aggregation = spec.map_or(&mean, |spec| &spec.aggregation);
        if let Aggregation::Python(function) = aggregation {
            let value = self
                .bridge
                .call(function, |hooks| hooks.aggregate(function, values))?;
            return Ok((value, None));
        }
        let replicates = match name {
            "bleu" | "chrf" | "ter" => self.bootstrap_replicates.min(FEW_REPLICATES),
            _ => self.bootstrap_replicates,
        };
        native(aggregation, values, replicates).map_err(|failure| match failure {
            Failure::Metric(source) => TaskError::Aggregate {
                task: self.spec.task.clone(),
                metric: name.to_owned(),
                source,
            },
            Failure::Form(value, needs) => self.error(format!(
                "metric `{name}`: its aggregation takes {needs}, not {}",
                python_str(&value)
            )),
        })
    }
}

fn native(
    aggregation: &Aggregation,
    values: &[Value],
    replicates: usize,
) -> Result<Aggregate, Failure> {
    let resampled =
        |aggregate: fn(&[f64]) -> Result<f64, MetricError>| -> Result<Aggregate, Failure> {
            let numbers = numbers(values)?;
            let stderr = bootstrap_stderr(&numbers, replicates, aggregate)?;
            Ok((aggregate(&numbers)?, stderr))
        };
    match aggregation {
        Aggregation::Nanmean => {
            let numbers = numbers(values)?;
            let value = nanmean(&numbers)?;
            // A resample may hold nothing but NaN: then there is no standard error.
            let resampled = |numbers: &[f64]| match nanmean(numbers) {
                Err(MetricError::Empty { .. }) => Ok(f64::NAN),
                other => other,
            };
            let stderr = bootstrap_stderr(&numbers, replicates, resampled)?;
            Ok((value, stderr.filter(|stderr| stderr.is_finite())))
        }
        Aggregation::Median => resampled(median),
        Aggregation::Perplexity => resampled(perplexity),
        Aggregation::WeightedPerplexity => Ok((weighted_perplexity(&weighted(values)?)?, None)),
        Aggregation::BitsPerByte => Ok((bits_per_byte(&weighted(values)?)?, None)),
        Aggregation::F1 => {
            let labels = Labels::of(values)?;
            let f1 = |pairs: &[(usize, usize)]| binary_f1(pairs, &labels.positive);
            let stderr = bootstrap_stderr(&labels.pairs, replicates, f1)?;
            Ok((f1(&labels.pairs)?, stderr))
        }
        Aggregation::MatthewsCorrcoef => {
            let labels = Labels::of(values)?;
            let stderr = bootstrap_stderr(&labels.pairs, replicates, matthews_correlation)?;
            Ok((matthews_correlation(&labels.pairs)?, stderr))
        }
        Aggregation::WeightedF1 => averaged(values, F1Average::Weighted),
        Aggregation::MacroF1 => averaged(values, F1Average::Macro),
        Aggregation::MicroF1 => averaged(values, F1Average::Micro),
        Aggregation::BrierScore => Ok((brier_score(&probabilities(values)?)?, None)),
        Aggregation::Bleu => {
            let count =
                |gold: &[&str], text: &str| BleuCounts::new(gold, text, BleuTokenizer::default());
            corpus(values, replicates, count, bleu)
        }
        Aggregation::Chrf => corpus(values, replicates, counting(Chrf::Characters), chrf),
        Aggregation::ChrfPlusPlus => {
            corpus(values, replicates, counting(Chrf::CharactersAndWords), chrf)
        }
        Aggregation::Ter => {
            let count = |gold: &[&str], text: &str| TerCounts::new(gold, text);
            corpus(values, replicates, count, ter)
        }
        Aggregation::CloserToOneBetter => mean_of(values, truth_ratio_closeness),
        Aggregation::TrueBetter => mean_of(values, truth_ratio_advantage),
        Aggregation::Bypass => Ok((BYPASS, None)),
        _ => mean_of(values, Ok),
    }
}

/// The mean of what each value becomes.
fn mean_of(
    values: &[Value],
    becomes: impl Fn(f64) -> Result<f64, MetricError>,
) -> Result<Aggregate, Failure> {
    let numbers = numbers(values)?.into_iter().map(becomes);
    let numbers = numbers.collect::<Result<Vec<f64>, _>>()?;
    Ok((mean(&numbers)?, mean_stderr(&numbers)?))
}

fn counting(variant: Chrf) -> impl Fn(&[&str], &str) -> Result<ChrfCounts, MetricError> {
    move |gold, text| ChrfCounts::new(gold, text, variant)
}

/// A metric of all texts together, out of what each brings to it.
fn corpus<T: Clone + Sync>(
    values: &[Value],
    replicates: usize,
    count: impl Fn(&[&str], &str) -> Result<T, MetricError>,
    aggregate: impl Fn(&[T]) -> Result<f64, MetricError> + Sync,
) -> Result<Aggregate, Failure> {
    const NEEDS: &str = "[right text or texts, text]";
    let form = |value: &Value| Failure::Form(value.clone(), NEEDS);
    let counts = values.iter().map(|value| {
        let (gold, text) = pair(value, NEEDS)?;
        let gold = texts(gold).ok_or_else(|| form(value))?;
        let text = text.as_str().ok_or_else(|| form(value))?;
        Ok(count(&gold, text)?)
    });
    let counts = counts.collect::<Result<Vec<T>, Failure>>()?;
    let stderr = bootstrap_stderr(&counts, replicates, &aggregate)?;
    Ok((aggregate(&counts)?, stderr))
}

fn averaged(values: &[Value], average: F1Average) -> Result<Aggregate, Failure> {
    Ok((averaged_f1(&Labels::of(values)?.pairs, average)?, None))
}

impl Labels {
    fn of(values: &[Value]) -> Result<Self, Failure> {
        let pairs: Vec<(Label, Label)> = values
            .iter()
            .map(|value| {
                let (gold, prediction) = pair(value, "[target, prediction]")?;
                Ok((Label::of(gold), Label::of(prediction)))
            })
            .collect::<Result<_, Failure>>()?;
        let mut known: Vec<&Label> = pairs
            .iter()
            .flat_map(|(gold, given)| [gold, given])
            .collect();
        known.sort();
        known.dedup();
        let number = |label: &Label| known.binary_search(&label).unwrap_or(usize::MAX);
        Ok(Self {
            positive: number(&Label::Number(1)),
            pairs: pairs
                .iter()
                .map(|(gold, given)| (number(gold), number(given)))
                .collect(),
        })
    }
}

fn numbers(values: &[Value]) -> Result<Vec<f64>, Failure> {
    let number = |value| number(value).ok_or_else(|| Failure::Form(Value::clone(value), "numbers"));
    values.iter().map(number).collect()
}

fn weighted(values: &[Value]) -> Result<Vec<(f64, usize)>, Failure> {
    const NEEDS: &str = "[log-likelihood, number of words or bytes]";
    let item = |value: &Value| {
        let (sum, weight) = pair(value, NEEDS)?;
        let weight = weight
            .as_f64()
            .filter(|weight| weight.fract() == 0.0 && *weight >= 0.0);
        match (logprob(sum), weight) {
            (Some(sum), Some(weight)) => Ok((sum, weight as usize)),
            _ => Err(Failure::Form(value.clone(), NEEDS)),
        }
    };
    values.iter().map(item).collect()
}

fn probabilities(values: &[Value]) -> Result<Vec<(usize, Vec<f64>)>, Failure> {
    const NEEDS: &str = "[target, probabilities]";
    let item = |value: &Value| {
        let (gold, probabilities) = pair(value, NEEDS)?;
        let probabilities = probabilities.as_array().map(|items| numbers(items));
        match (gold.as_u64(), probabilities) {
            (Some(gold), Some(probabilities)) => Ok((gold as usize, probabilities?)),
            _ => Err(Failure::Form(value.clone(), NEEDS)),
        }
    };
    values.iter().map(item).collect()
}

fn pair<'a>(value: &'a Value, needs: &'static str) -> Result<(&'a Value, &'a Value), Failure> {
    match value.as_array().map(Vec::as_slice) {
        Some([first, second]) => Ok((first, second)),
        _ => Err(Failure::Form(value.clone(), needs)),
    }
}
