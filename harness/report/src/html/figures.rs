//! The report's pictures of the scorecard: forgetting against utility, the losses of training, what rounding brings back. Draws
//! numbers and computes none.

use harness_bench::experiment::{
    ExperimentRecord, HEADLINE, Row, Scorecard, SubjectKind, Training,
};

use serde::Serialize;

use super::chart::{Axis, Chart};
use super::labels::Labels;
use super::trails;

/// A picture with the row it is about.
#[derive(Serialize)]
pub(super) struct Panel {
    pub(super) name: String,
    pub(super) svg: String,
}

pub(super) fn axis(name: &str, range: (f64, f64)) -> Axis<'_> {
    Axis {
        name,
        range,
        is_logarithmic: false,
    }
}

fn class_of(row: &Row) -> &'static str {
    match row.kind {
        SubjectKind::Original => "original",
        SubjectKind::Oracle | SubjectKind::OracleTwin => "oracle",
        SubjectKind::Noise => "noise",
        SubjectKind::Method if row.is_dominated => "dominated",
        SubjectKind::Method => "front",
    }
}

/// Forgetting against utility; `None` where no row has both.
pub(super) fn pareto(card: &Scorecard) -> Option<String> {
    let place = |row: &Row| {
        let utility = row.standing.as_ref()?.utility?;
        Some((row.forgetting()?, utility))
    };
    let placed: Vec<_> = (card.rows.iter())
        .filter_map(|row| Some((row, place(row)?)))
        .collect();
    let least = |of: fn(f64, f64) -> f64, start: f64, pick: fn(&(f64, f64)) -> f64| {
        let points = placed.iter().map(|(_, (f, u))| (f.value, u.value));
        points.fold(start, |so_far, point| of(so_far, pick(&point)))
    };
    if placed.is_empty() {
        return None;
    }
    let x_range = (
        least(f64::min, 0.0, |p| p.0) - 0.05,
        least(f64::max, 1.0, |p| p.0).min(2.0) + 0.15,
    );
    let bound = card.ranking.demands.utility;
    // All near 1 is looked at from near.
    let lowest = least(f64::min, bound - 0.1, |p| p.1).max(-0.5);
    let y_range = (lowest - 0.05, least(f64::max, 1.0, |p| p.1).min(1.5) + 0.05);
    let mut chart = Chart::new(
        760.0,
        440.0,
        axis("Forgotten F (1 = like the oracle)", x_range),
        axis("Useful U (1 = like the original)", y_range),
    );
    chart.segment("bound", (x_range.0, bound), (x_range.1, bound));
    let pixels: Vec<(f64, f64)> = (placed.iter())
        .map(|(_, (f, u))| chart.place((f.value, u.value)))
        .collect();
    trails::draw(&mut chart, card);
    let mut labels = Labels::around(&pixels);
    for (row, (forgetting, utility)) in &placed {
        let (class, at) = (class_of(row), (forgetting.value, utility.value));
        if let Some((low, high)) = forgetting.interval {
            chart.segment(&format!("whisker {class}"), (low, at.1), (high, at.1));
        }
        if let Some((low, high)) = utility.interval {
            chart.segment(&format!("whisker {class}"), (at.0, low), (at.0, high));
        }
        let title = format!("{}: F {:.3}, U {:.3}", row.name, at.0, at.1);
        if row.kind == SubjectKind::Method {
            chart.dot(class, at, &title);
        } else {
            chart.cross(class, at, &title);
        }
        let beside = labels.place(chart.place(at), &row.name);
        let class = format!("label {class}");
        chart.label(&class, at, beside.offset, beside.anchor, &row.name);
    }
    Some(chart.finish(
        "Forgetting against utility",
        "Each row of the scorecard as a point; right is more forgotten, up is more useful. The same numbers are in the table.",
    ))
}

/// One panel a row: the loss of every step.
pub(super) fn training(record: &ExperimentRecord) -> Vec<Panel> {
    let mut rows: Vec<&str> = Vec::new();
    for training in &record.training {
        if !rows.contains(&training.row.as_str()) {
            rows.push(&training.row);
        }
    }
    let panel = |row: &str| {
        let own: Vec<&Training> = record.training.iter().filter(|t| t.row == row).collect();
        let losses = || {
            own.iter()
                .flat_map(|training| training.losses.iter().copied())
        };
        let steps = own.iter().map(|training| training.losses.len()).max()?;
        let low = losses().fold(f64::INFINITY, f64::min);
        let high = losses().fold(f64::NEG_INFINITY, f64::max);
        (low.is_finite() && high.is_finite()).then_some(())?;
        let margin = (high - low) * 0.05;
        let x = axis("Step", (1.0, steps as f64));
        let mut chart = Chart::new(360.0, 220.0, x, axis("Loss", (low - margin, high + margin)));
        for training in &own {
            let points: Vec<(f64, f64)> = (1..)
                .map(f64::from)
                .zip(training.losses.iter().copied())
                .collect();
            let seed = training
                .seed
                .map_or(String::new(), |seed| format!("seed {seed}"));
            chart.line("curve own", &points, &seed);
        }
        Some(Panel {
            name: row.to_owned(),
            svg: chart.finish(
                &format!("Loss of {row}"),
                "The loss that was differentiated in each step, one line a seed.",
            ),
        })
    };
    rows.into_iter().filter_map(panel).collect()
}

/// What rounding the weights brings back, a bar for each row and number of bits.
pub(super) fn rounding(card: &Scorecard) -> Option<String> {
    let rows: Vec<(&Row, Vec<(u32, f64)>)> = (card.rows.iter())
        .filter(|row| row.kind == SubjectKind::Method)
        .filter_map(|row| {
            let standing = row.standing.as_ref()?;
            let full = 1.0 - standing.forgetting.get(HEADLINE)?.value;
            let rounded = standing
                .rounded
                .iter()
                .rev()
                .map(|(&bits, figure)| (bits, figure.value));
            let all: Vec<(u32, f64)> = std::iter::once((32, full)).chain(rounded).collect();
            (all.len() > 1).then_some((row, all))
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let highest = rows
        .iter()
        .flat_map(|(_, bars)| bars)
        .map(|bar| bar.1)
        .fold(1.0, f64::max);
    let lowest = rows
        .iter()
        .flat_map(|(_, bars)| bars)
        .map(|bar| bar.1)
        .fold(0.0, f64::min);
    let count = rows.len() as f64;
    let y = axis(
        "Knowledge left (0 = oracle, 1 = original)",
        (lowest.max(-1.0), highest.min(2.0)),
    );
    // Columns have names of their own, not numbers.
    let x = axis("", (0.0, count));
    let mut chart = Chart::columns(760.0, 300.0, x, y);
    let slot = 660.0 / count;
    for (place, (row, bars)) in rows.iter().enumerate() {
        let width = (slot * 0.8 / bars.len() as f64).min(28.0);
        for (i, &(bits, value)) in bars.iter().enumerate() {
            let shift = (i as f64 - (bars.len() - 1) as f64 / 2.0) * (width + 2.0) / slot;
            let at = place as f64 + 0.5 + shift;
            let title = format!("{} at {bits} bits: {value:.3}", row.name);
            chart.bar(&format!("bits-{bits}"), (at, 0.0), value, width, &title);
        }
        let at = (place as f64 + 0.5, lowest.max(-1.0));
        chart.label(
            "tick",
            at,
            (0.0, 16.0 + 14.0 * (place % 2) as f64),
            "middle",
            &row.name,
        );
    }
    Some(chart.finish(
        "Knowledge after rounding the weights",
        "A group of bars for each method: 32 bits as trained, then rounded to fewer.",
    ))
}
