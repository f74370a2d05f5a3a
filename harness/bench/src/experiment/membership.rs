//! Whether a model betrays which texts it was trained on: attacks that tell the forget set from texts it has never seen, and how far
//! they get beyond what they get against the oracle. Trains nothing.

use std::collections::BTreeMap;

use harness_metric::{
    Bootstrap, MetricError, Resample, Units, area_under_roc, mean, membership_closeness,
    privacy_leakage,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figure::{Figure, figure};
use super::record::{DocumentScores, Scores};
use super::standing::Anchors;
use crate::membership::{Attack, MembershipScores, membership_scores};

/// What an attack gets out of a model beyond what it gets out of the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Privacy {
    /// `PrivLeak` in percent: 0 like the oracle, negative where the forget set is still known, positive where its absence shows.
    pub leakage: Figure,
    /// 1 less the distance of the two areas over the oracle's, and at least 0: 1 is like the oracle (`s_MIA`).
    pub closeness: f64,
}

/// What the attacks go by, on both sets, for each run of a row.
struct Attacked {
    forget: Vec<MembershipScores>,
    holdout: Vec<MembershipScores>,
}

impl Attacked {
    /// `reference` never saw the forget set.
    fn new(runs: &[&Scores], reference: Option<&Scores>) -> Option<Self> {
        let all = |set: fn(&Scores) -> Option<&DocumentScores>| {
            let reference = reference.and_then(set).map(|scores| &scores.metrics);
            let of = |run: &&Scores| Some(membership_scores(&set(run)?.metrics, reference));
            runs.iter().map(of).collect::<Option<Vec<_>>>()
        };
        let own = Self {
            forget: all(|scores| Some(&scores.forget))?,
            holdout: all(|scores| scores.holdout.as_ref())?,
        };
        (!runs.is_empty()).then_some(own)
    }

    /// Documents of both sets, where every run has the attack's scores of all of them.
    fn sizes(&self, attack: Attack) -> Option<[usize; 2]> {
        let size = |sets: &[MembershipScores]| {
            let sizes = sets.iter().map(|set| set.get(&attack).map(Vec::len));
            let sizes = sizes.collect::<Option<Vec<usize>>>()?;
            sizes.iter().all(|size| *size == sizes[0]).then(|| sizes[0])
        };
        Some([size(&self.forget)?, size(&self.holdout)?])
    }

    /// The area under the ROC curve of one run for the drawn documents.
    fn area(&self, attack: Attack, run: usize, resample: &Resample) -> Result<f64, MetricError> {
        let drawn = |sets: &[MembershipScores], set: usize| -> Vec<f64> {
            let values = &sets[run % sets.len()][&attack];
            resample.documents[set].iter().map(|&i| values[i]).collect()
        };
        area_under_roc(&drawn(&self.forget, 0), &drawn(&self.holdout, 1))
    }

    /// Mean over all runs, whichever seeds are drawn.
    fn mean_area(&self, attack: Attack, resample: &Resample) -> Result<f64, MetricError> {
        let areas = (0..self.forget.len()).map(|run| self.area(attack, run, resample));
        mean(&areas.collect::<Result<Vec<f64>, _>>()?)
    }
}

impl<'a> Anchors<'a> {
    /// What the reference attack takes off a loss: the oracle's, which says how hard a text is for a model that never saw it. The
    /// original would say how much a text was known, which is the attack's answer and not its scale.
    fn reference(&self) -> Option<&'a Scores> {
        self.oracles.first().copied()
    }

    /// Area under the ROC curve of each attack, mean over runs: 1 tells every text of the forget set from every unseen one, 0.5 none.
    pub(super) fn membership(
        &self,
        runs: &[&'a Scores],
        bootstrap: Bootstrap,
    ) -> Result<BTreeMap<String, Figure>, MetricError> {
        let mut figures = BTreeMap::new();
        let Some(own) = Attacked::new(runs, self.reference()) else {
            return Ok(figures);
        };
        for attack in Attack::ALL {
            let Some(sizes) = own.sizes(attack) else {
                continue;
            };
            let units = Units {
                seeds: runs.len(),
                documents: &sizes,
            };
            let area = |resample: &Resample| {
                let areas = resample.seeds.iter();
                let areas = areas.map(|&run| own.area(attack, run, resample));
                mean(&areas.collect::<Result<Vec<f64>, _>>()?)
            };
            figures.insert(attack.name().to_owned(), figure(bootstrap, units, &area)?);
        }
        Ok(figures)
    }

    /// What each attack gets beyond what it gets out of the oracle; nothing without one, and nothing of an attack that tells all apart
    /// on the oracle.
    pub(super) fn privacy(
        &self,
        runs: &[&'a Scores],
        bootstrap: Bootstrap,
    ) -> BTreeMap<String, Privacy> {
        let mut all = BTreeMap::new();
        let both = Attacked::new(runs, self.reference())
            .zip(Attacked::new(&self.oracles, self.reference()));
        let Some((own, oracle)) = both else {
            return all;
        };
        for attack in Attack::ALL {
            let Some(sizes) = own
                .sizes(attack)
                .filter(|own| oracle.sizes(attack).is_some_and(|oracle| oracle == *own))
            else {
                continue;
            };
            let units = Units {
                seeds: runs.len(),
                documents: &sizes,
            };
            let over_runs = |resample: &Resample, of: fn(f64, f64) -> Result<f64, MetricError>| {
                let reference = oracle.mean_area(attack, resample)?;
                let values = resample.seeds.iter();
                let values = values.map(|&run| of(own.area(attack, run, resample)?, reference));
                mean(&values.collect::<Result<Vec<f64>, _>>()?)
            };
            let leakage = |resample: &Resample| over_runs(resample, privacy_leakage);
            let closeness = over_runs(&units.all(), membership_closeness);
            if let (Ok(leakage), Ok(closeness)) = (figure(bootstrap, units, &leakage), closeness) {
                let privacy = Privacy { leakage, closeness };
                all.insert(attack.name().to_owned(), privacy);
            }
        }
        all
    }
}
