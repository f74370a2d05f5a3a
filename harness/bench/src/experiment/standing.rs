//! One row of the scorecard in proportion to the anchors. Refuses to put what was not measured into proportion.

use std::collections::BTreeMap;

use harness_metric::{Bootstrap, Survival, SurvivalTime, mean};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attack_standing::AttackStanding;
use super::figure::{Figure, Proportion, Runs, Scale, mean_figure};
use super::membership::Privacy;
use super::record::{DocumentScores, Scores};
use super::recovery::Recovery;
use super::retention::Retention;
use super::truth::RowForgetQuality;
use super::usefulness::is_above_chance;
use crate::error::Result;
use crate::relearn::Budget;

/// The metric that rows are ranked by.
pub const HEADLINE: &str = "extraction_strength";

/// F above this is marked as over-forgotten: the model knows conspicuously less than one that never saw the data.
pub const OVER_FORGOTTEN: f64 = 1.1;

/// A row in proportion to the anchors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// The scores themselves, by set (`forget`, `paraphrased`, `retain`) and metric.
    pub scores: BTreeMap<String, BTreeMap<String, Figure>>,
    /// F by metric of the forget set: 0 like the original, 1 like the oracle, or, without one, 1 at a score of zero.
    pub forgetting: BTreeMap<String, Figure>,
    /// F of [`HEADLINE`] where the facts are asked in other words.
    pub forgetting_paraphrased: Option<Figure>,
    /// Whether F of [`HEADLINE`] exceeds [`OVER_FORGOTTEN`].
    pub is_over_forgotten: bool,
    /// Area under the ROC curve of membership attacks, by the metric they use: 0.5 cannot tell the forget set from unseen texts.
    pub membership: BTreeMap<String, Figure>,
    /// What these attacks get beyond what they get out of the oracle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub privacy: BTreeMap<String, Privacy>,
    /// Whether the truth ratios could be the oracle's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget_quality: Option<RowForgetQuality>,
    /// F over chance on questions with choices: 0 like the original, 1 at guessing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgetting_choice: Option<Figure>,
    /// How much like the original it is where nothing was to change, by set: `retain`, `neutral`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retention: BTreeMap<String, Retention>,
    /// Fluency of the answers it writes, in proportion to the original's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fluency: Option<Figure>,
    /// Share of these that refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusals: Option<Figure>,
    /// Share of the original's score that is left on each utility task, chance taken off.
    pub utilities: BTreeMap<String, Figure>,
    /// Mean of these.
    pub utility: Option<Figure>,
    /// The task with the smallest share, and that share.
    pub worst_utility: Option<(String, f64)>,
    /// Samples to relearn, at half, nine tenths and all of the way back.
    pub relearning: Option<RelearnTimes>,
    /// What else attackers tell.
    pub attacks: Option<AttackStanding>,
    /// Share of the knowledge between oracle and original that rounding the weights brings back, by number of bits.
    pub rounded: BTreeMap<u32, Figure>,
}

/// Medians over seeds of the samples that an attacker needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RelearnTimes {
    /// Half of the way back.
    pub half: RelearnTime,
    /// Nine tenths.
    pub nine_tenths: RelearnTime,
    /// All of it.
    pub full: RelearnTime,
    /// Mean recovery over a logarithmic grid of samples.
    pub area: f64,
}

/// A time to relearn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RelearnTime {
    /// Samples.
    pub samples: f64,
    /// Whether it was reached; otherwise it takes more.
    pub is_reached: bool,
    /// In proportion to the oracle's; absent where neither was reached.
    pub ratio: Option<f64>,
    /// Whether the ratio is a bound, because one of the two was not reached.
    pub ratio_is_bound: bool,
}

/// The models that everything is compared with.
#[derive(Clone, Debug)]
pub(super) struct Anchors<'a> {
    pub(super) original: &'a Scores,
    pub(super) oracles: Vec<&'a Scores>,
    /// Utility tasks on which the original is no better than chance say nothing.
    pub(super) useful: Vec<bool>,
}

/// Values of a metric in every run.
pub(super) fn runs_of<'a>(
    runs: &[&'a Scores],
    set: impl Fn(&'a Scores) -> Option<&'a DocumentScores>,
    metric: &str,
) -> Option<Runs<'a>> {
    let values = |scores: &&'a Scores| set(scores)?.metrics.get(metric).map(Vec::as_slice);
    let found: Option<Runs<'a>> = runs.iter().map(values).collect();
    found.filter(|runs| !runs.is_empty())
}

impl<'a> Anchors<'a> {
    pub(super) fn new(original: &'a Scores, oracles: Vec<&'a Scores>) -> Self {
        Self {
            original,
            oracles,
            useful: original.utility.iter().map(is_above_chance).collect(),
        }
    }

    /// Forgetting of some runs by a metric of a set.
    pub(super) fn forgetting(
        &self,
        runs: &[&'a Scores],
        set: impl Fn(&'a Scores) -> Option<&'a DocumentScores> + Copy,
        metric: &str,
    ) -> Option<Proportion<'a>> {
        let oracle = runs_of(&self.oracles, set, metric);
        if oracle.is_none() && !self.oracles.is_empty() {
            return None;
        }
        Some(Proportion {
            runs: runs_of(runs, set, metric)?,
            original: runs_of(&[self.original], set, metric)?,
            scale: Scale::Forgetting(oracle),
        })
    }

    pub(super) fn standing(&self, runs: &[&'a Scores], bootstrap: Bootstrap) -> Result<Standing> {
        let figure = |proportion: Proportion<'a>| mean_figure(bootstrap, &[proportion]);
        let mut forgetting = BTreeMap::new();
        for metric in self.original.forget.metrics.keys() {
            let proportion = self.forgetting(runs, |scores| Some(&scores.forget), metric);
            if let Some(Ok(value)) = proportion.map(figure) {
                forgetting.insert(metric.clone(), value);
            }
        }
        let paraphrased = self.forgetting(runs, |scores| scores.paraphrased.as_ref(), HEADLINE);
        let is_over = |figure: &Figure| figure.value > OVER_FORGOTTEN;
        let (utilities, utility) = self.utilities(runs, bootstrap)?;
        let worst = utilities
            .iter()
            .min_by(|a, b| a.1.value.total_cmp(&b.1.value));
        Ok(Standing {
            scores: plain_scores(runs, bootstrap)?,
            forgetting_paraphrased: paraphrased.and_then(|p| figure(p).ok()),
            is_over_forgotten: forgetting.get(HEADLINE).is_some_and(is_over),
            worst_utility: worst.map(|(task, figure)| (task.clone(), figure.value)),
            membership: self.membership(runs, bootstrap)?,
            privacy: self.privacy(runs, bootstrap),
            forget_quality: self.forget_quality(runs)?,
            forgetting_choice: self.forgetting_choice(runs, bootstrap),
            retention: self.retention(runs, bootstrap)?,
            fluency: self.fluency(runs, bootstrap),
            refusals: self.refusals(runs, bootstrap),
            utilities,
            utility,
            relearning: self.relearning(runs)?,
            attacks: AttackStanding::of(&recoveries(runs))?,
            rounded: self.rounded(runs, bootstrap),
            forgetting,
        })
    }

    fn rounded(&self, runs: &[&'a Scores], bootstrap: Bootstrap) -> BTreeMap<u32, Figure> {
        let bits = self.original.rounded.keys();
        let recovered = |&bits: &u32| {
            let set = |scores: &'a Scores| scores.rounded.get(&bits);
            let rounded = runs_of(runs, set, HEADLINE)?;
            let full = |scores: &'a Scores| Some(&scores.forget);
            let proportion = Proportion {
                runs: rounded,
                ..self.forgetting(runs, full, HEADLINE)?
            };
            let Figure { value, interval } = mean_figure(bootstrap, &[proportion]).ok()?;
            let figure = Figure {
                value: 1.0 - value,
                interval: interval.map(|(low, high)| (1.0 - high, 1.0 - low)),
            };
            Some((bits, figure))
        };
        bits.filter_map(recovered).collect()
    }

    fn relearning(&self, runs: &[&Scores]) -> Result<Option<RelearnTimes>> {
        let own = recoveries(runs);
        if own.is_empty() {
            return Ok(None);
        }
        let oracle = recoveries(&self.oracles);
        let time = |of: fn(&Recovery) -> Budget| -> Result<RelearnTime> {
            let own = median(&own, of)?;
            let oracle = (!oracle.is_empty()).then(|| median(&oracle, of));
            Ok(in_proportion(own, oracle.transpose()?))
        };
        let areas: Vec<f64> = own.iter().map(|recovery| recovery.area).collect();
        Ok(Some(RelearnTimes {
            half: time(|recovery| recovery.half)?,
            nine_tenths: time(|recovery| recovery.nine_tenths)?,
            full: time(|recovery| recovery.full)?,
            area: mean(&areas)?,
        }))
    }
}

fn recoveries<'a>(runs: &[&'a Scores]) -> Vec<&'a Recovery> {
    runs.iter().filter_map(|s| s.recovery.as_ref()).collect()
}

fn median(recoveries: &[&Recovery], of: fn(&Recovery) -> Budget) -> Result<SurvivalTime> {
    let samples = |recovery: &&Recovery| of(recovery).in_samples();
    let times: Vec<SurvivalTime> = recoveries.iter().map(samples).collect();
    Ok(Survival::new(&times)?.median())
}

fn in_proportion(own: SurvivalTime, oracle: Option<SurvivalTime>) -> RelearnTime {
    let comparable = oracle.filter(|oracle| own.is_reached || oracle.is_reached);
    RelearnTime {
        samples: own.time,
        is_reached: own.is_reached,
        ratio: comparable
            .filter(|oracle| oracle.time > 0.0)
            .map(|oracle| own.time / oracle.time),
        ratio_is_bound: comparable.is_some_and(|oracle| !(own.is_reached && oracle.is_reached)),
    }
}

fn plain_scores(
    runs: &[&Scores],
    bootstrap: Bootstrap,
) -> Result<BTreeMap<String, BTreeMap<String, Figure>>> {
    type Set = (&'static str, fn(&Scores) -> Option<&DocumentScores>);
    let sets: [Set; 3] = [
        ("forget", |scores| Some(&scores.forget)),
        ("paraphrased", |scores| scores.paraphrased.as_ref()),
        ("retain", |scores| scores.retain.as_ref()),
    ];
    let mut all = BTreeMap::new();
    for (name, set) in sets {
        let mut figures = BTreeMap::new();
        let first = runs.first().and_then(|scores| set(scores));
        for metric in first.iter().flat_map(|scores| scores.metrics.keys()) {
            let Some(values) = runs_of(runs, set, metric) else {
                continue;
            };
            let plain = Proportion {
                original: values.clone(),
                runs: values,
                scale: Scale::Plain,
            };
            figures.insert(metric.clone(), mean_figure(bootstrap, &[plain])?);
        }
        if !figures.is_empty() {
            all.insert(name.to_owned(), figures);
        }
    }
    Ok(all)
}
