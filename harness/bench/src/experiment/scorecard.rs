//! The scorecard: every method beside the anchors, on forgetting, utility, relearning and cost, with intervals, ties and
//! who is beaten on all counts. Numbers only; the report draws it.

use harness_metric::Bootstrap;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::attack_standing::Bounded;
use super::figure::Figure;
use super::ranking::{Demands, Ranking};
use super::record::{Cost, ExperimentRecord, Outcome, Scores, Subject, SubjectKind};
use super::standing::{Anchors, HEADLINE, Standing};
use super::trail::{TrailStep, trail_steps};
use crate::error::{BenchError, Result};

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
    /// Operations to relearn nine tenths in proportion to those of unlearning: far below 1, hiding was dearer than finding.
    pub asymmetry: Option<Bounded>,
    /// Where it was after some of its steps, the last not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<TrailStep>,
    /// Whether another method forgets no less and keeps no less utility, and is better at one of the two.
    pub is_dominated: bool,
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
    /// The methods in order.
    pub ranking: Ranking,
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
    pub fn new(subjects: &[Subject], demands: Demands, bootstrap: Bootstrap) -> Result<Self> {
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
        let ranking = Ranking::new(&rows, subjects, &anchors, demands, bootstrap)?;
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
        })
    }
}

impl ExperimentRecord {
    /// Its scorecard, with the usual bootstrap.
    ///
    /// # Errors
    /// As [`Scorecard::new`].
    pub fn scorecard(&self) -> Result<Scorecard> {
        Scorecard::new(&self.subjects, self.demands, Bootstrap::default())
    }
}

impl Subject {
    pub(super) fn scores(&self) -> Option<&Scores> {
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
        let standing = standing.transpose()?;
        let kind = own().next().map(|subject| subject.kind);
        let unlearning = cost.filter(|_| kind == Some(SubjectKind::Method));
        Ok(Self {
            name: name.to_owned(),
            kind: kind.unwrap_or(SubjectKind::Method),
            seeds: runs.len(),
            failures: own().filter_map(failure).collect(),
            asymmetry: unlearning.zip(standing.as_ref()).and_then(asymmetry),
            standing,
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

fn asymmetry((unlearning, standing): (Cost, &Standing)) -> Option<Bounded> {
    let relearning = standing.attacks.as_ref()?.flops;
    (unlearning.flops > 0.0).then(|| Bounded {
        value: relearning.value / unlearning.flops,
        ..relearning
    })
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

fn remarks(anchors: &Anchors<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    if anchors.oracles.is_empty() {
        remarks.push("no oracle: F is 1 at a score of zero, although a model that never saw the data would score more than that".to_owned());
    }
    remarks.extend(anchors.truth_remark());
    remarks.extend(anchors.useless_remarks());
    remarks
}
