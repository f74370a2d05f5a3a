//! The scorecard: every method beside the anchors, on forgetting, utility, relearning and cost. Numbers only; the report
//! crate draws it.

use harness_metric::{chance_corrected_utility, normalised_forgetting};
use serde::{Deserialize, Serialize};

use crate::answers::{AnswerKnowledge, Estimate};
use crate::error::Result;
use crate::relearn::RelearnCurve;

/// Utility below which a method is not ranked.
pub const UTILITY_BOUND: f64 = 0.95;

/// F above this is marked as over-forgotten: the model knows conspicuously less than one that never saw the data.
pub const OVER_FORGOTTEN: f64 = 1.1;

/// What was measured on one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The forget set, in the phrasing that was trained on and unlearned.
    pub forget: AnswerKnowledge,
    /// The same facts asked in other words.
    pub forget_paraphrased: AnswerKnowledge,
    /// Accuracy on each utility task.
    pub utilities: Vec<UtilityScore>,
    /// The attack.
    pub relearning: RelearnCurve,
}

impl Measurement {
    /// A row of this measurement.
    pub(crate) fn into_entry(self, name: &str, kind: RowKind, cost: Option<Cost>) -> Entry {
        Entry {
            name: name.to_owned(),
            kind,
            outcome: Outcome::Measured(Box::new(self)),
            cost,
        }
    }
}

/// One utility task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UtilityScore {
    /// The task's name.
    pub task: String,
    /// Accuracy.
    pub accuracy: Estimate,
    /// Accuracy of guessing.
    pub chance: f64,
}

/// What it took to make a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Optimiser steps.
    pub steps: usize,
    /// Tokens trained on.
    pub tokens: usize,
    /// Floating-point operations: three forward passes a trained token, one a token of the frozen original.
    pub flops: f64,
    /// Wall time of training.
    pub seconds: f64,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// The model before unlearning.
    Original,
    /// The model that never saw the forget set.
    Oracle,
    /// A method's result.
    Method,
}

/// A row before it is put into proportion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Anchor or method.
    pub name: String,
    /// Which of them.
    pub kind: RowKind,
    /// The measurement, or why there is none.
    pub outcome: Outcome,
    /// What it took.
    pub cost: Option<Cost>,
}

/// A measurement or the reason for its absence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What was measured.
    Measured(Box<Measurement>),
    /// Why nothing was.
    Failed(String),
}

/// A measured row in proportion to the anchors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// F of extraction strength: 0 like the original, 1 like the oracle.
    pub forgetting: f64,
    /// Whether F exceeds [`OVER_FORGOTTEN`].
    pub over_forgotten: bool,
    /// Mean over utility tasks of the chance-corrected share of the original's accuracy.
    pub utility: f64,
    /// The worst task's share.
    pub worst_utility: f64,
    /// Samples to relearn in proportion to the oracle's; a lower bound where this row is censored, an upper bound where
    /// the oracle is, absent where both are.
    pub relearn_ratio: Option<f64>,
    /// Floating-point operations in proportion to training the oracle.
    pub cost_share: Option<f64>,
}

/// A row of the scorecard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured and what it took.
    pub entry: Entry,
    /// Its place between the anchors, if it was measured.
    pub standing: Option<Standing>,
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scorecard {
    /// The forget set's task.
    pub forget: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Original, oracle, then the methods.
    pub rows: Vec<Row>,
    /// Methods with utility of at least [`UTILITY_BOUND`], most forgotten first (F counted up to 1).
    pub ranking: Vec<String>,
}

/// The two rows that the others are measured against.
struct Anchors<'a> {
    original: &'a Measurement,
    oracle: &'a Measurement,
    oracle_cost: Option<Cost>,
}

impl Anchors<'_> {
    fn standing(&self, entry: &Entry, measured: &Measurement) -> Result<Standing> {
        let strength = |m: &Measurement| m.forget.extraction_strength.value;
        let forgetting = normalised_forgetting(
            strength(measured),
            strength(self.original),
            strength(self.oracle),
        )?;
        let shares = (measured.utilities.iter().zip(&self.original.utilities))
            .map(|(own, original)| {
                Ok(chance_corrected_utility(
                    own.accuracy.value,
                    original.accuracy.value,
                    own.chance,
                )?)
            })
            .collect::<Result<Vec<f64>>>()?;
        let (own, oracle) = (&measured.relearning, &self.oracle.relearning);
        let comparable = own.reached || oracle.reached;
        Ok(Standing {
            forgetting,
            over_forgotten: forgetting > OVER_FORGOTTEN,
            utility: harness_metric::mean(&shares)?,
            worst_utility: shares.iter().copied().fold(f64::INFINITY, f64::min),
            relearn_ratio: comparable.then(|| own.samples as f64 / oracle.samples as f64),
            cost_share: entry
                .cost
                .zip(self.oracle_cost)
                .map(|(own, oracle)| own.flops / oracle.flops),
        })
    }
}

impl Scorecard {
    /// Puts `entries` (original and oracle among them) into proportion.
    ///
    /// # Errors
    /// When an anchor was not measured, or the anchors coincide so that nothing can be measured against them.
    pub fn new(forget: &str, seed: u64, entries: Vec<Entry>) -> Result<Self> {
        let anchor = |kind: RowKind| {
            let found = entries.iter().find(|entry| entry.kind == kind);
            found.and_then(|entry| match &entry.outcome {
                Outcome::Measured(measured) => Some((&**measured, entry.cost)),
                Outcome::Failed(_) => None,
            })
        };
        let missing = || {
            crate::BenchError::Request("a scorecard needs a measured original and oracle".into())
        };
        let (original, _) = anchor(RowKind::Original).ok_or_else(missing)?;
        let (oracle, oracle_cost) = anchor(RowKind::Oracle).ok_or_else(missing)?;
        let anchors = Anchors {
            original,
            oracle,
            oracle_cost,
        };
        let standings = (entries.iter())
            .map(|entry| match &entry.outcome {
                Outcome::Measured(measured) => anchors.standing(entry, measured).map(Some),
                Outcome::Failed(_) => Ok(None),
            })
            .collect::<Result<Vec<_>>>()?;
        let rows: Vec<Row> = entries
            .into_iter()
            .zip(standings)
            .map(|(entry, standing)| Row { entry, standing })
            .collect();
        Ok(Self {
            forget: forget.to_owned(),
            seed,
            ranking: ranking(&rows),
            rows,
        })
    }
}

fn ranking(rows: &[Row]) -> Vec<String> {
    let eligible = |row: &&Row| {
        row.entry.kind == RowKind::Method
            && row.standing.is_some_and(|s| s.utility >= UTILITY_BOUND)
    };
    let mut ranked: Vec<&Row> = rows.iter().filter(eligible).collect();
    let forgotten = |row: &Row| {
        row.standing
            .map_or(f64::NEG_INFINITY, |standing| standing.forgetting.min(1.0))
    };
    ranked.sort_by(|a, b| forgotten(b).total_cmp(&forgotten(a)));
    ranked
        .into_iter()
        .map(|row| row.entry.name.clone())
        .collect()
}
