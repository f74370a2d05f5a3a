//! Whether a model betrays which texts it was trained on: attacks that tell the forget set from texts it has never seen. Trains
//! nothing.

use std::collections::BTreeMap;

use harness_metric::{Bootstrap, MetricError, Resample, Units, area_under_roc, mean};

use super::figure::Figure;
use super::record::{DocumentScores, Scores};

/// Metrics that are lower on what was trained on.
const ATTACKS: [&str; 4] = ["loss", "zlib", "min_k", "min_k_plus_plus"];

/// Area under the ROC curve of each attack, mean over runs: 1 tells every text of the forget set from every unseen one, 0.5 none.
pub(super) fn membership(
    runs: &[&Scores],
    bootstrap: Bootstrap,
) -> Result<BTreeMap<String, Figure>, MetricError> {
    let mut figures = BTreeMap::new();
    for attack in ATTACKS {
        let of = |scores: &DocumentScores| scores.metrics.get(attack).cloned();
        let both = |scores: &&Scores| Some((of(&scores.forget)?, of(scores.holdout.as_ref()?)?));
        let Some(samples) = runs.iter().map(both).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let Some((forget, holdout)) = samples.first() else {
            continue;
        };
        let sizes = [forget.len(), holdout.len()];
        let units = Units {
            seeds: samples.len(),
            documents: &sizes,
        };
        let statistic = |resample: &Resample| {
            let drawn = |values: &[f64], set: usize| -> Vec<f64> {
                resample.documents[set].iter().map(|&i| values[i]).collect()
            };
            let areas = resample.seeds.iter().map(|&seed| {
                let (forget, holdout) = &samples[seed];
                area_under_roc(&drawn(forget, 0), &drawn(holdout, 1))
            });
            mean(&areas.collect::<Result<Vec<f64>, _>>()?)
        };
        let interval = bootstrap.interval(units, &statistic)?;
        let figure = Figure {
            value: statistic(&units.all())?,
            interval: interval.map(|interval| (interval.low, interval.high)),
        };
        figures.insert(attack.to_owned(), figure);
    }
    Ok(figures)
}
