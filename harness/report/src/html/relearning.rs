//! The report's pictures of relearning: each row's ways back, every attacker's as a thin line and the best one's bold, before the
//! band of all attackers on the oracle. Draws recoveries and computes none.

use std::collections::BTreeMap;

use harness_bench::experiment::{ExperimentRecord, Outcome, Recovery, Row, Scorecard, SubjectKind};

use super::chart::{Axis, Chart};
use super::figures::{Panel, axis};

/// Samples and recovery along one attack.
type Way = Vec<(usize, f64)>;

/// What a row's attacks look like.
struct Ways {
    /// The best attacker on each model.
    best: Vec<Way>,
    /// All attackers on each model, with their names.
    all: Vec<(String, Way)>,
}

/// One panel a method: its ways back before the oracle's.
pub(super) fn relearning(record: &ExperimentRecord, card: &Scorecard) -> Vec<Panel> {
    let of_kind = |kind: SubjectKind| {
        let rows = card.rows.iter().filter(move |row| row.kind == kind);
        Ways::of(rows.flat_map(|row| recoveries(record, &row.name)))
    };
    let (oracle, original) = (of_kind(SubjectKind::Oracle), of_kind(SubjectKind::Original));
    let rows: Vec<(&Row, Ways)> = (card.rows.iter())
        .filter(|row| matches!(row.kind, SubjectKind::Method | SubjectKind::Noise))
        .map(|row| (row, Ways::of(recoveries(record, &row.name))))
        .filter(|(_, ways)| !ways.best.is_empty())
        .collect();
    let drawn = rows.iter().map(|(_, ways)| ways);
    let longest = drawn.chain([&oracle, &original]).map(Ways::longest).max();
    let longest = longest.unwrap_or(1);
    let panel = |(row, own): &(&Row, Ways)| Panel {
        name: row.name.clone(),
        svg: drawing(&row.name, own, &oracle, &original, longest),
    };
    rows.iter().map(panel).collect()
}

fn drawing(name: &str, own: &Ways, oracle: &Ways, original: &Ways, longest: usize) -> String {
    let end = longest as f64 + 1.0;
    let x = Axis {
        name: "Samples + 1",
        range: (1.0, end),
        is_logarithmic: true,
    };
    let mut chart = Chart::new(360.0, 240.0, x, axis("Recovery ρ", (-0.05, 1.05)));
    chart.segment("bound", (1.0, 0.9), (end, 0.9));
    let band = oracle.band();
    if !band.is_empty() {
        chart.band("band oracle", &band, "oracle, all attackers");
    }
    for (class, ways) in [("oracle", oracle), ("original", original)] {
        for way in &ways.best {
            chart.line(&format!("curve {class}"), &placed(way), class);
        }
    }
    for (attacker, way) in &own.all {
        let title = format!("{name}: {attacker}");
        chart.line("curve thin own", &placed(way), &title);
    }
    for way in &own.best {
        chart.line("curve best own", &placed(way), name);
    }
    chart.finish(
        &format!("Relearning after {name}"),
        "Share of the forgotten knowledge that attackers have brought back, by samples trained on: a thin line for each attacker, a bold one for the best; the oracle's band and the original's line in their colours.",
    )
}

/// A curve's points; the axis has no zero.
fn placed(way: &Way) -> Vec<(f64, f64)> {
    let point = |&(samples, recovery): &(usize, f64)| (samples as f64 + 1.0, recovery);
    way.iter().map(point).collect()
}

fn recoveries<'a>(
    record: &'a ExperimentRecord,
    row: &'a str,
) -> impl Iterator<Item = &'a Recovery> {
    let of_row = record.subjects.iter().filter(move |one| one.row == row);
    of_row.filter_map(|subject| match &subject.outcome {
        Outcome::Measured(scores) => scores.recovery.as_ref(),
        Outcome::Failed(_) => None,
    })
}

impl Ways {
    fn of<'a>(recoveries: impl Iterator<Item = &'a Recovery>) -> Self {
        let (mut best, mut all) = (Vec::new(), Vec::new());
        for recovery in recoveries {
            best.push(recovery.curve.clone());
            for attacker in &recovery.attackers {
                let points = attacker.way_back.iter().flat_map(|way| &way.points);
                let way: Way = points.map(|at| (at.spend.samples, at.recovery)).collect();
                if !way.is_empty() {
                    all.push((attacker.attacker.clone(), way));
                }
            }
        }
        Self { best, all }
    }

    fn longest(&self) -> usize {
        let ends = self.best.iter().filter_map(|way| way.last());
        ends.map(|&(samples, _)| samples).max().unwrap_or(1)
    }

    /// Least and most recovery of all attackers wherever they were asked; empty for a single one, which is a line.
    fn band(&self) -> Vec<(f64, f64, f64)> {
        if self.all.len() < 2 {
            return Vec::new();
        }
        let mut ends: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        for &(samples, recovery) in self.all.iter().flat_map(|(_, way)| way) {
            let (low, high) = ends.entry(samples).or_insert((recovery, recovery));
            (*low, *high) = (low.min(recovery), high.max(recovery));
        }
        let point = |(samples, (low, high))| (samples as f64 + 1.0, low, high);
        ends.into_iter().map(point).collect()
    }
}
