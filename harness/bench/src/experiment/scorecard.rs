//! The scorecard: every method beside the anchors, on forgetting, utility, relearning and cost, with intervals, ties and
//! who is beaten on all counts. Numbers only; the report draws it.

use std::collections::BTreeMap;

use harness_metric::{Bootstrap, holm};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::figure::{Figure, Proportion, forgetting_difference};
use super::record::{Cost, ExperimentRecord, Outcome, Scores, Subject, SubjectKind};
use super::standing::{Anchors, HEADLINE, Standing};
use super::trail::{TrailStep, trail_steps};
use crate::error::{BenchError, Result};

/// Utility below which a method is not ranked.
pub const UTILITY_BOUND: f64 = 0.95;

/// Adjusted p-values above this are ties.
const SIGNIFICANCE: f64 = 0.05;

/// A row of the scorecard: the models that differ in their seed alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Anchor or method.
    pub kind: SubjectKind,
    /// Models behind it that were measured.
    pub seeds: usize,
    /// Seeds that failed, and why.
    pub failures: Vec<(Option<u64>, String)>,
    /// Its place between the anchors, if any model of it was measured.
    pub standing: Option<Standing>,
    /// Mean cost of a model.
    pub cost: Option<Cost>,
    /// Floating-point operations in proportion to making the oracle.
    pub cost_share: Option<f64>,
    /// Where it was after some of its steps, the last not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<TrailStep>,
    /// Whether another method forgets no less and keeps no less utility, and is better at one of the two.
    pub is_dominated: bool,
}

/// Two neighbours of the ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The one that forgot more.
    pub more: String,
    /// The other.
    pub less: String,
    /// Difference of F, each counted up to 1, on the same documents.
    pub difference: Figure,
    /// Adjusted for the number of comparisons (Holm).
    pub p_value: f64,
    /// Whether they cannot be told apart.
    pub is_tie: bool,
}

/// The whole table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scorecard {
    /// The forget set's task.
    pub forget: String,
    /// Whether there is an oracle: without one, F is 1 at a score of zero.
    pub has_oracle: bool,
    /// The anchors, then the methods.
    pub rows: Vec<Row>,
    /// Methods with utility of at least [`UTILITY_BOUND`], most forgotten first (F counted up to 1).
    pub ranking: Vec<String>,
    /// The neighbours of the ranking, compared.
    pub comparisons: Vec<Comparison>,
    /// Distance of a second oracle from the first in F: no method can be told to be nearer than that.
    pub noise_floor: Option<f64>,
    /// What a reader has to know.
    pub remarks: Vec<String>,
}

impl Scorecard {
    /// JSON Schema of `scorecard.json`.
    pub fn schema() -> Schema {
        schemars::schema_for!(Self)
    }

    /// Puts the models of an experiment into proportion to its original and its oracle.
    ///
    /// # Errors
    /// When the original was not measured, or lacks [`HEADLINE`].
    pub fn new(subjects: &[Subject], bootstrap: Bootstrap) -> Result<Self> {
        let measured = |kind: SubjectKind| {
            let of_kind = subjects.iter().filter(move |subject| subject.kind == kind);
            of_kind.filter_map(Subject::scores)
        };
        let original = measured(SubjectKind::Original).next().ok_or_else(|| {
            BenchError::Request("a scorecard needs an original that was measured".into())
        })?;
        let anchors = Anchors::new(original, measured(SubjectKind::Oracle).collect());
        let oracle_cost = subjects
            .iter()
            .find(|subject| subject.kind == SubjectKind::Oracle)
            .and_then(|oracle| oracle.cost);
        let mut rows = Vec::new();
        for name in names(subjects) {
            rows.push(Row::new(name, subjects, &anchors, oracle_cost, bootstrap)?);
        }
        mark_dominated(&mut rows);
        let ranking = ranking(&rows);
        let comparisons = compare_neighbours(&ranking, subjects, &anchors, bootstrap)?;
        Ok(Self {
            forget: original.forget.task.clone(),
            has_oracle: !anchors.oracles.is_empty(),
            noise_floor: rows
                .iter()
                .find(|row| row.kind == SubjectKind::OracleTwin)
                .and_then(Row::forgetting)
                .map(|figure| (figure.value - 1.0).abs()),
            remarks: remarks(&anchors),
            rows,
            ranking,
            comparisons,
        })
    }
}

impl ExperimentRecord {
    /// Its scorecard, with the usual bootstrap.
    ///
    /// # Errors
    /// As [`Scorecard::new`].
    pub fn scorecard(&self) -> Result<Scorecard> {
        Scorecard::new(&self.subjects, Bootstrap::default())
    }
}

impl Subject {
    fn scores(&self) -> Option<&Scores> {
        match &self.outcome {
            Outcome::Measured(scores) => Some(scores),
            Outcome::Failed(_) => None,
        }
    }
}

impl Row {
    fn new(
        name: &str,
        subjects: &[Subject],
        anchors: &Anchors<'_>,
        oracle_cost: Option<Cost>,
        bootstrap: Bootstrap,
    ) -> Result<Self> {
        let own = || subjects.iter().filter(|subject| subject.row == name);
        let runs: Vec<&Scores> = own().filter_map(Subject::scores).collect();
        let failure = |subject: &Subject| match &subject.outcome {
            Outcome::Failed(reason) => Some((subject.seed, reason.clone())),
            Outcome::Measured(_) => None,
        };
        let measured: Vec<&Subject> = own().filter(|own| own.scores().is_some()).collect();
        let costs: Vec<Cost> = own().filter_map(|subject| subject.cost).collect();
        let cost = mean_cost(&costs);
        let standing = (!runs.is_empty()).then(|| anchors.standing(&runs, bootstrap));
        Ok(Self {
            name: name.to_owned(),
            kind: own()
                .next()
                .map_or(SubjectKind::Method, |subject| subject.kind),
            seeds: runs.len(),
            failures: own().filter_map(failure).collect(),
            standing: standing.transpose()?,
            cost,
            cost_share: cost
                .zip(oracle_cost.filter(|cost| cost.flops > 0.0))
                .map(|(own, oracle)| own.flops / oracle.flops),
            trail: trail_steps(&measured, anchors, bootstrap)?,
            is_dominated: false,
        })
    }

    /// F of [`HEADLINE`].
    pub fn forgetting(&self) -> Option<Figure> {
        self.standing.as_ref()?.forgetting.get(HEADLINE).copied()
    }

    /// Forgetting, counted up to 1, and utility.
    fn place(&self) -> Option<(f64, f64)> {
        let utility = self.standing.as_ref()?.utility?;
        Some((self.forgetting()?.value.min(1.0), utility.value))
    }
}

/// Rows in the order in which they first appear.
fn names(subjects: &[Subject]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for subject in subjects {
        if !names.contains(&subject.row.as_str()) {
            names.push(&subject.row);
        }
    }
    names
}

fn mean_cost(costs: &[Cost]) -> Option<Cost> {
    let n = costs.len();
    let mean = |of: fn(&Cost) -> f64| costs.iter().map(of).sum::<f64>() / n as f64;
    (n > 0).then(|| Cost {
        steps: costs.iter().map(|cost| cost.steps).sum::<usize>() / n,
        tokens: costs.iter().map(|cost| cost.tokens).sum::<usize>() / n,
        flops: mean(|cost| cost.flops),
    })
}

fn mark_dominated(rows: &mut [Row]) {
    let is_method = |row: &Row| row.kind == SubjectKind::Method;
    let places: Vec<Option<(f64, f64)>> = rows
        .iter()
        .map(|row| row.place().filter(|_| is_method(row)))
        .collect();
    for (row, place) in rows.iter_mut().zip(&places) {
        let Some(own) = place else { continue };
        let beats = |other: &(f64, f64)| other.0 >= own.0 && other.1 >= own.1 && other != own;
        row.is_dominated = places.iter().flatten().any(beats);
    }
}

fn ranking(rows: &[Row]) -> Vec<String> {
    let eligible = |row: &&Row| row.kind == SubjectKind::Method;
    let mut ranked: Vec<(f64, &str)> = rows
        .iter()
        .filter(eligible)
        .filter_map(|row| {
            let (forgetting, utility) = row.place()?;
            (utility >= UTILITY_BOUND).then_some((forgetting, row.name.as_str()))
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked
        .into_iter()
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn compare_neighbours(
    ranking: &[String],
    subjects: &[Subject],
    anchors: &Anchors<'_>,
    bootstrap: Bootstrap,
) -> Result<Vec<Comparison>> {
    let runs = |name: &String| -> Vec<&Scores> {
        let own = subjects.iter().filter(|subject| &subject.row == name);
        own.filter_map(Subject::scores).collect()
    };
    let by_row: BTreeMap<&String, Vec<&Scores>> =
        ranking.iter().map(|name| (name, runs(name))).collect();
    let proportion = |name: &String| -> Option<Proportion<'_>> {
        anchors.forgetting(&by_row[name], |scores| Some(&scores.forget), HEADLINE)
    };
    let mut compared = Vec::new();
    for pair in ranking.windows(2) {
        if let (Some(more), Some(less)) = (proportion(&pair[0]), proportion(&pair[1])) {
            let (difference, p_value) = forgetting_difference(bootstrap, &more, &less)?;
            compared.push((pair, difference, p_value));
        }
    }
    let p_values: Vec<f64> = compared.iter().map(|(_, _, p_value)| *p_value).collect();
    let comparison =
        |((pair, difference, _), p_value): ((&[String], Figure, f64), f64)| Comparison {
            more: pair[0].clone(),
            less: pair[1].clone(),
            difference,
            p_value,
            is_tie: p_value > SIGNIFICANCE,
        };
    let adjusted = holm(&p_values)?;
    Ok(compared.into_iter().zip(adjusted).map(comparison).collect())
}

fn remarks(anchors: &Anchors<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    if anchors.oracles.is_empty() {
        remarks.push("no oracle: F is 1 at a score of zero, although a model that never saw the data would score more than that".to_owned());
    }
    for (task, _) in (anchors.original.utility.iter().zip(&anchors.useful)).filter(|(_, u)| !**u) {
        remarks.push(format!(
            "{}: the original is no better than guessing, so the task is not part of U",
            task.task
        ));
    }
    remarks
}
