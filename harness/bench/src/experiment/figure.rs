//! Numbers of the scorecard with their intervals: means over the seeds of a row and the documents of a set, put into
//! proportion to the anchors. Refuses to give a number where a proportion has no scale.

use harness_metric::{
    Bootstrap, MetricError, Resample, Units, chance_corrected_utility, normalised_forgetting,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Figure {
    /// The number.
    pub value: f64,
    /// Ends of the interval; absent where nothing could be resampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
}

/// Values of the runs that share a row: one list a seed, one value a document.
pub(super) type Runs<'a> = Vec<&'a [f64]>;

/// Mean over the drawn seeds and documents.
fn drawn_mean(runs: &Runs<'_>, resample: &Resample, set: usize) -> f64 {
    let documents = &resample.documents[set];
    let seeds = resample.seeds.iter().map(|seed| runs[seed % runs.len()]);
    let total: f64 = seeds
        .map(|run| documents.iter().map(|&document| run[document]).sum::<f64>())
        .sum();
    total / (resample.seeds.len() * documents.len()) as f64
}

/// Where a row's score on one set lies between two anchors, for each draw.
#[derive(Clone, Debug)]
pub(super) struct Proportion<'a> {
    pub(super) runs: Runs<'a>,
    pub(super) original: Runs<'a>,
    pub(super) scale: Scale<'a>,
}

/// What the original is compared with.
#[derive(Clone, Debug)]
pub(super) enum Scale<'a> {
    /// Forgetting: 0 like the original, 1 like the oracle, or 1 at zero where there is no oracle.
    Forgetting(Option<Runs<'a>>),
    /// Utility: 1 like the original, 0 at chance.
    Utility(f64),
    /// The score itself.
    Plain,
}

impl Proportion<'_> {
    /// The proportion for the drawn seeds and documents of set number `set`.
    pub(super) fn of(&self, resample: &Resample, set: usize) -> Result<f64, MetricError> {
        let own = drawn_mean(&self.runs, resample, set);
        let original = drawn_mean(&self.original, resample, set);
        match &self.scale {
            Scale::Forgetting(oracle) => {
                let oracle = oracle.as_ref();
                let oracle = oracle.map_or(0.0, |runs| drawn_mean(runs, resample, set));
                normalised_forgetting(own, original, oracle)
            }
            Scale::Utility(chance) => chance_corrected_utility(own, original, *chance),
            Scale::Plain => Ok(own),
        }
    }

    fn seeds(&self) -> usize {
        self.runs.len()
    }

    fn documents(&self) -> usize {
        self.runs.first().map_or(0, |run| run.len())
    }
}

/// The mean of some proportions, each over documents of its own.
pub(super) fn mean_figure(
    bootstrap: Bootstrap,
    proportions: &[Proportion<'_>],
) -> Result<Figure, MetricError> {
    let sizes: Vec<usize> = proportions.iter().map(Proportion::documents).collect();
    let units = Units {
        seeds: proportions.iter().map(Proportion::seeds).max().unwrap_or(0),
        documents: &sizes,
    };
    let statistic = |resample: &Resample| {
        let values = proportions.iter().enumerate();
        let values = values.map(|(set, proportion)| proportion.of(resample, set));
        harness_metric::mean(&values.collect::<Result<Vec<_>, _>>()?)
    };
    let value = statistic(&units.all())?;
    // A draw may have no scale although the whole has one: then there is a number without an interval.
    let interval = bootstrap.interval(units, &statistic).ok().flatten();
    Ok(Figure {
        value,
        interval: interval.map(|interval| (interval.low, interval.high)),
    })
}

/// How sure it is that one row forgot more than another, on the same documents: the difference of their F, each counted up to
/// 1, and the p-value of there being none.
pub(super) fn forgetting_difference(
    bootstrap: Bootstrap,
    more: &Proportion<'_>,
    less: &Proportion<'_>,
) -> Result<(Figure, f64), MetricError> {
    let sizes = [more.documents()];
    let units = Units {
        seeds: more.seeds().max(less.seeds()),
        documents: &sizes,
    };
    let difference =
        |resample: &Resample| Ok(more.of(resample, 0)?.min(1.0) - less.of(resample, 0)?.min(1.0));
    let sampled = bootstrap.sample(units, &difference)?;
    let interval = sampled.interval();
    let figure = Figure {
        value: sampled.observed(),
        interval: interval.map(|interval| (interval.low, interval.high)),
    };
    Ok((figure, sampled.p_value()))
}
