//! The scorecard for the terminal: anchors first, numbers with their errors, bars for those who would rather look.

use harness_bench::Estimate;
use harness_bench::scorecard::{
    Measurement, Outcome, Row, RowKind, Scorecard, Standing, UTILITY_BOUND,
};

use crate::table::{Align, Table};

const BAR_CELLS: usize = 10;

/// The table, the bars and the ranking.
pub fn scorecard_text(card: &Scorecard) -> String {
    let failures = card.rows.iter().map(|row| match &row.entry.outcome {
        Outcome::Failed(reason) => format!("{} failed: {reason}\n", row.entry.name),
        Outcome::Measured(_) => String::new(),
    });
    [
        format!("Scorecard: forget {}, seed {}\n\n", card.forget, card.seed),
        measurements(card).plain(),
        "\n".to_owned(),
        standings(card).plain(),
        failures.collect(),
        "\n".to_owned(),
        ranking(card),
        LEGEND.to_owned(),
    ]
    .concat()
}

const LEGEND: &str = "
ES extraction strength (share of an answer the model completes by itself) · P probability of the answers · F forgotten:
0 like the original, 1 like the oracle, ! more than that · U useful: chance-corrected share of the original's accuracy
Relearn: samples of fine-tuning on the forget set until the loss is the original's; ≥ not reached
Cost: floating-point operations of unlearning in proportion to retraining without the forget set
";

fn measurements(card: &Scorecard) -> Table {
    let tasks: Vec<&str> = card
        .rows
        .iter()
        .find_map(measured)
        .map(|m| m.utilities.iter().map(|u| u.task.as_str()).collect())
        .unwrap_or_default();
    let mut headers = vec![
        ("", Align::Left),
        ("ES ↓", Align::Left),
        ("P ↓", Align::Left),
        ("ES reworded ↓", Align::Left),
    ];
    headers.extend(tasks.iter().map(|&task| (task, Align::Left)));
    headers.extend([
        ("Relearn ↑", Align::Right),
        ("Steps", Align::Right),
        ("Tokens", Align::Right),
        ("Seconds", Align::Right),
    ]);
    let mut table = Table::new(&headers);
    for row in &card.rows {
        let mut cells = vec![row.entry.name.clone()];
        match measured(row) {
            None => cells.extend((0..=(3 + tasks.len())).map(|_| "failed".to_owned())),
            Some(m) => {
                let knowledge = [
                    m.forget.extraction_strength,
                    m.forget.probability,
                    m.forget_paraphrased.extraction_strength,
                ];
                cells.extend(knowledge.map(estimate));
                cells.extend(m.utilities.iter().map(|utility| estimate(utility.accuracy)));
                cells.push(m.relearning.samples_text());
            }
        }
        cells.extend(match row.entry.cost {
            Some(cost) => [
                cost.steps.to_string(),
                cost.tokens.to_string(),
                format!("{:.1}", cost.seconds),
            ],
            None => ["–", "–", "–"].map(str::to_owned),
        });
        table.push(cells);
    }
    table
}

fn standings(card: &Scorecard) -> Table {
    let mut table = Table::new(&[
        ("", Align::Left),
        ("Forgotten F", Align::Left),
        ("Useful U", Align::Left),
        ("U worst", Align::Right),
        ("Relearn ÷ oracle", Align::Left),
        ("Cost ÷ retraining", Align::Right),
    ]);
    for row in &card.rows {
        let Some(standing) = row.standing else {
            continue;
        };
        table.push(vec![
            row.entry.name.clone(),
            with_bar(
                standing.forgetting,
                if standing.over_forgotten { "!" } else { "" },
            ),
            with_bar(standing.utility, ""),
            format!("{:.3}", standing.worst_utility),
            relearn_ratio(row, &standing),
            standing.cost_share.map_or("–".into(), percent),
        ]);
    }
    table
}

fn measured(row: &Row) -> Option<&Measurement> {
    match &row.entry.outcome {
        Outcome::Measured(measurement) => Some(measurement),
        Outcome::Failed(_) => None,
    }
}

fn estimate(estimate: Estimate) -> String {
    let stderr = estimate
        .stderr
        .map_or(String::new(), |stderr| format!(" ±{stderr:.3}"));
    format!("{:.3}{stderr}", estimate.value)
}

/// A share as a bar and a number; the bar stops at its ends, the number does not.
fn with_bar(share: f64, mark: &str) -> String {
    let filled = (share.clamp(0.0, 1.0) * BAR_CELLS as f64).round() as usize;
    // Rounded first, so that a hair below zero does not print as −0.00.
    let share = (share * 1000.0).round() / 1000.0 + 0.0;
    format!(
        "{}{} {share:6.3}{mark}",
        "█".repeat(filled),
        "░".repeat(BAR_CELLS - filled)
    )
}

fn relearn_ratio(row: &Row, standing: &Standing) -> String {
    let censored = measured(row).is_some_and(|m| !m.relearning.reached);
    match standing.relearn_ratio {
        None => "–".into(),
        Some(ratio) => with_bar(ratio, if censored { " or more" } else { "" }),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn ranking(card: &Scorecard) -> String {
    let methods = card
        .rows
        .iter()
        .filter(|row| row.entry.kind == RowKind::Method)
        .count();
    match card.ranking.first() {
        Some(best) => format!(
            "{} of {methods} methods with U ≥ {UTILITY_BOUND}; the most forgotten among them: {best}\n",
            card.ranking.len()
        ),
        None => format!("None of the {methods} methods keeps U ≥ {UTILITY_BOUND}\n"),
    }
}
