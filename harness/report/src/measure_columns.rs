//! The scorecard's columns for measures that an experiment may leave out: forget quality, leakage, choices, distance from the original
//! and fluency. Formats numbers, computes none.

use harness_bench::experiment::{Retention, Row, RowForgetQuality};

use crate::card_columns::{Cell, Column, Part, Prominence, rounded, standing};

/// The attack that the card shows.
pub(crate) const ATTACK: &str = "min_k";

/// TOFU's forget quality.
pub(crate) const FORGET_QUALITY: Column = Column {
    name: "FQ log10 p",
    meaning: "forget quality: decimal logarithm of the probability that truth ratios differ from the oracle's by chance as much (Kolmogorov–Smirnov, exact, median over seeds); 0 cannot be told from the oracle, about −1.3 is p .05; with D, the largest distance of the distributions, and n documents: at D 1 p says no more than n",
    part: Part::Forgetting,
    prominence: Prominence::Overview,
    cell: |row| {
        standing(row, |standing| match &standing.forget_quality {
            Some(RowForgetQuality {
                log10_p,
                statistic,
                documents,
                ..
            }) => Cell {
                note: format!("D {}, n {documents}", rounded(*statistic)),
                ..Cell::number(
                    *log10_p,
                    format!("{:.2}", (log10_p * 100.0).round() / 100.0 + 0.0),
                )
            },
            None => Cell::absent(),
        })
    },
};

/// Forgetting of questions with choices.
pub(crate) const CHOICE: Column = Column {
    name: "F choice",
    meaning: "share of the accuracy above guessing that is gone on questions with choices about the forget set: 0 like the original, 1 guesses",
    part: Part::Forgetting,
    prominence: Prominence::Overview,
    cell: |row| standing(row, |standing| Cell::figure(standing.forgetting_choice)),
};

/// Leakage against the oracle.
pub(crate) const LEAKAGE: Column = Column {
    name: "PrivLeak",
    meaning: "what the attack of MIA gets beyond what it gets out of the oracle, in percent: 0 like the oracle, negative is still known, positive shows its absence; s is 1 less the distance of the two areas over the oracle's",
    part: Part::Privacy,
    prominence: Prominence::Overview,
    cell: |row| {
        standing(row, |standing| match standing.privacy.get(ATTACK) {
            Some(privacy) => {
                let mut cell = Cell::figure(Some(privacy.leakage));
                cell.text = format!("{:.1}", (privacy.leakage.value * 10.0).round() / 10.0 + 0.0);
                let interval = privacy.leakage.interval;
                let interval = interval.map(|(low, high)| format!("{low:.1} … {high:.1}, "));
                let interval = interval.unwrap_or_default();
                cell.note = format!("{interval}s {}", rounded(privacy.closeness));
                cell
            }
            None => Cell::absent(),
        })
    },
};

/// Divergence on the retain set.
pub(crate) const DIVERGENCE: Column = Column {
    name: "KL",
    meaning: "divergence of the next token's distribution from the original's on the retain set, KL(original‖model) in nats a token",
    part: Part::Utility,
    prominence: Prominence::Detail,
    cell: |row| {
        retention(row, "retain", |retention| {
            Cell::figure(Some(retention.divergence))
        })
    },
};

/// Divergence on neutral text.
pub(crate) const NEUTRAL_DIVERGENCE: Column = Column {
    name: "KL neutral",
    meaning: "the same on text that has nothing to do with the forget set",
    part: Part::Utility,
    prominence: Prominence::Detail,
    cell: |row| {
        retention(row, "neutral", |retention| {
            Cell::figure(Some(retention.divergence))
        })
    },
};

/// Agreement on the retain set.
pub(crate) const AGREEMENT: Column = Column {
    name: "Top-1",
    meaning: "share of the retain set's tokens before which model and original hold the same token for the most probable",
    part: Part::Utility,
    prominence: Prominence::Detail,
    cell: |row| {
        retention(row, "retain", |retention| {
            Cell::figure(Some(retention.agreement))
        })
    },
};

/// Loss on the retain set.
pub(crate) const RETAIN_LOSS: Column = Column {
    name: "Retain loss",
    meaning: "loss on the retain set in proportion to the original's",
    part: Part::Utility,
    prominence: Prominence::Detail,
    cell: |row| {
        retention(row, "retain", |retention| {
            Cell::figure(retention.loss_ratio)
        })
    },
};

/// Fluency of answers.
pub(crate) const FLUENCY: Column = Column {
    name: "Fluent",
    meaning: "share of the original's fluency that is left in answers about the forget set: words that do not repeat, in texts that are not gibberish to the original; with the share of answers that refuse",
    part: Part::Utility,
    prominence: Prominence::Overview,
    cell: |row| {
        standing(row, |standing| {
            let mut cell = Cell::figure(standing.fluency);
            if let Some(refusals) = standing.refusals.filter(|_| standing.fluency.is_some()) {
                let before = if cell.note.is_empty() { "" } else { ", " };
                let percent = refusals.value * 100.0;
                cell.note = format!("{}{before}{percent:.0} % refuse", cell.note);
            }
            cell
        })
    },
};

fn retention(row: &Row, set: &str, cell: impl FnOnce(&Retention) -> Cell) -> Cell {
    standing(row, |standing| {
        standing.retention.get(set).map_or_else(Cell::absent, cell)
    })
}
