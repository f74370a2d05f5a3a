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
pub(super) fn drawn_mean(runs: &Runs<'_>, resample: &Resample, set: usize) -> f64 {
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

/// A number of a row in proportion to the anchors, for each draw of seeds and documents.
pub(super) trait Share: Sync {
    /// Seeds behind it.
    fn seeds(&self) -> usize;

    /// Documents of each set that it is made of.
    fn documents(&self) -> Vec<usize>;

    /// Its value for the drawn seeds and documents, its own sets being those from number `first` on.
    fn of(&self, resample: &Resample, first: usize) -> Result<f64, MetricError>;
}

impl Share for Proportion<'_> {
    fn seeds(&self) -> usize {
        self.runs.len()
    }

    fn documents(&self) -> Vec<usize> {
        vec![self.runs.first().map_or(0, |run| run.len())]
    }

    fn of(&self, resample: &Resample, set: usize) -> Result<f64, MetricError> {
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
}

/// The mean of some shares, each over documents of its own.
pub(super) fn mean_figure(
    bootstrap: Bootstrap,
    shares: &[impl Share],
) -> Result<Figure, MetricError> {
    let sizes: Vec<Vec<usize>> = shares.iter().map(Share::documents).collect();
    let firsts = sizes.iter().scan(0, |next, own| {
        let first = *next;
        *next += own.len();
        Some(first)
    });
    let firsts: Vec<usize> = firsts.collect();
    let units = Units {
        seeds: shares.iter().map(Share::seeds).max().unwrap_or(0),
        documents: &sizes.concat(),
    };
    figure(bootstrap, units, &|resample| {
        let values = shares.iter().zip(&firsts);
        let values = values.map(|(share, &first)| share.of(resample, first));
        harness_metric::mean(&values.collect::<Result<Vec<_>, _>>()?)
    })
}

/// A statistic of the units with its interval.
pub(super) fn figure(
    bootstrap: Bootstrap,
    units: Units<'_>,
    statistic: &(impl Fn(&Resample) -> Result<f64, MetricError> + Sync),
) -> Result<Figure, MetricError> {
    let value = statistic(&units.all())?;
    // A draw may have no scale although the whole has one: then there is a number without an interval.
    let interval = bootstrap.interval(units, statistic).ok().flatten();
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
    let sizes = more.documents();
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
