//! The scorecard's columns: what each means, and a row's cell in it. Formats numbers, computes none.

use harness_bench::experiment::{
    Figure, HEADLINE, RelearnTime, RelearnTimes, Row, Scorecard, Standing,
};

use crate::attack_columns;
use crate::measure_columns::{
    AGREEMENT, ATTACK, CHOICE, DIVERGENCE, FLUENCY, FORGET_QUALITY, LEAKAGE, NEUTRAL_DIVERGENCE,
    RETAIN_LOSS,
};

/// A cell of the card.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    /// What is shown.
    pub(crate) text: String,
    /// The interval or another remark in small print.
    pub(crate) note: String,
    /// What it is sorted by; cells without it come last.
    pub(crate) key: Option<f64>,
}

/// What a column is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Forgetting,
    Privacy,
    Utility,
    Relearning,
    Cost,
}

impl Part {
    pub(crate) const ALL: [Self; 5] = [
        Self::Forgetting,
        Self::Privacy,
        Self::Utility,
        Self::Relearning,
        Self::Cost,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forgetting => "Forgetting",
            Self::Privacy => "Privacy",
            Self::Utility => "Utility",
            Self::Relearning => "Relearning",
            Self::Cost => "Cost",
        }
    }
}

/// How much room a column deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prominence {
    /// Only where its part is looked at.
    Detail,
    /// Wherever methods are compared.
    Overview,
    /// There with its small print.
    Headline,
}

/// A column: its name, what it means, and its cells.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) part: Part,
    pub(crate) prominence: Prominence,
    pub(crate) cell: fn(&Row) -> Cell,
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            note: String::new(),
            key: None,
        }
    }

    pub(crate) fn absent() -> Self {
        Self::text("–")
    }

    pub(crate) fn number(value: f64, text: String) -> Self {
        Self {
            key: Some(value),
            ..Self::text(text)
        }
    }

    pub(crate) fn figure(figure: Option<Figure>) -> Self {
        let Some(Figure { value, interval }) = figure else {
            return Self::absent();
        };
        Self {
            note: interval.map_or(String::new(), |(low, high)| {
                format!("{} … {}", rounded(low), rounded(high))
            }),
            ..Self::number(value, rounded(value))
        }
    }
}

/// Three decimals, without the sign of a hair below zero.
pub(crate) fn rounded(value: f64) -> String {
    let value = (value * 1000.0).round() / 1000.0 + 0.0;
    format!("{value:.3}")
}

pub(crate) fn standing(row: &Row, cell: impl FnOnce(&Standing) -> Cell) -> Cell {
    row.standing.as_ref().map_or_else(Cell::absent, cell)
}

fn score(row: &Row, set: &str, metric: &str) -> Cell {
    standing(row, |standing| {
        let figure = standing.scores.get(set).and_then(|set| set.get(metric));
        Cell::figure(figure.copied())
    })
}

fn relearn(row: &Row, of: fn(&RelearnTimes) -> RelearnTime, spread: Option<String>) -> Cell {
    standing(row, |standing| {
        let Some(time) = standing.relearning.as_ref().map(of) else {
            return Cell::absent();
        };
        let bound = if time.is_reached { "" } else { "≥ " };
        let ratio = time.ratio.map(|ratio| {
            let bound = match (time.ratio_is_bound, time.is_reached) {
                (false, _) => "",
                (true, false) => "≥ ",
                (true, true) => "≤ ",
            };
            format!("{bound}{ratio:.2}× oracle")
        });
        let notes: Vec<String> = ratio.into_iter().chain(spread).collect();
        Cell {
            note: notes.join("; "),
            ..Cell::number(time.samples, format!("{bound}{:.0}", time.samples))
        }
    })
}

fn bits(row: &Row, bits: u32) -> Cell {
    standing(row, |standing| {
        Cell::figure(standing.rounded.get(&bits).copied())
    })
}

/// The columns, in order.
pub(crate) const COLUMNS: &[Column] = &[
    Column {
        name: "Forgotten F",
        meaning: "extraction strength between the original's (0) and the oracle's (1); ! marks more than the oracle",
        part: Part::Forgetting,
        prominence: Prominence::Headline,
        cell: |row| {
            standing(row, |standing| {
                let mut cell = Cell::figure(standing.forgetting.get(HEADLINE).copied());
                if standing.is_over_forgotten {
                    cell.text.push('!');
                }
                cell
            })
        },
    },
    Column {
        name: "F reworded",
        meaning: "the same where the facts are asked in other words",
        part: Part::Forgetting,
        prominence: Prominence::Detail,
        cell: |row| {
            standing(row, |standing| {
                Cell::figure(standing.forgetting_paraphrased)
            })
        },
    },
    Column {
        name: "ES",
        meaning: "extraction strength: share of an answer that the model completes by itself",
        part: Part::Forgetting,
        prominence: Prominence::Detail,
        cell: |row| score(row, "forget", HEADLINE),
    },
    Column {
        name: "P",
        meaning: "probability of the answers that were to be forgotten, length-normalised",
        part: Part::Forgetting,
        prominence: Prominence::Detail,
        cell: |row| score(row, "forget", "probability"),
    },
    FORGET_QUALITY,
    CHOICE,
    Column {
        name: "MIA",
        meaning: "area under the ROC curve of Min-K%, an attack that tells the forget set from texts no model has seen: 0.5 cannot; best is the oracle's",
        part: Part::Privacy,
        prominence: Prominence::Detail,
        cell: |row| {
            standing(row, |standing| {
                Cell::figure(standing.membership.get(ATTACK).copied())
            })
        },
    },
    LEAKAGE,
    Column {
        name: "Useful U",
        meaning: "mean over utility tasks of the share of the original's score that is left, chance taken off",
        part: Part::Utility,
        prominence: Prominence::Headline,
        cell: |row| standing(row, |standing| Cell::figure(standing.utility)),
    },
    Column {
        name: "U worst",
        meaning: "the task with the smallest share",
        part: Part::Utility,
        prominence: Prominence::Headline,
        cell: |row| {
            standing(row, |standing| match &standing.worst_utility {
                Some((task, share)) => Cell {
                    note: task.clone(),
                    ..Cell::number(*share, rounded(*share))
                },
                None => Cell::absent(),
            })
        },
    },
    DIVERGENCE,
    NEUTRAL_DIVERGENCE,
    AGREEMENT,
    RETAIN_LOSS,
    FLUENCY,
    Column {
        name: "T .5",
        meaning: "samples of relearning until half of the knowledge is back; ≥ not reached",
        part: Part::Relearning,
        prominence: Prominence::Detail,
        cell: |row| relearn(row, |times| times.half, None),
    },
    Column {
        name: "T .9",
        meaning: "samples of relearning until nine tenths are back; small print: beside the oracle, and the fastest … slowest of all attackers",
        part: Part::Relearning,
        prominence: Prominence::Headline,
        cell: |row| relearn(row, |times| times.nine_tenths, attack_columns::spread(row)),
    },
    Column {
        name: "AURC",
        meaning: "mean recovery over a logarithmic grid of samples: 1 knew it from the start",
        part: Part::Relearning,
        prominence: Prominence::Detail,
        cell: |row| {
            standing(row, |standing| {
                standing.relearning.map_or_else(Cell::absent, |times| {
                    Cell::number(times.area, rounded(times.area))
                })
            })
        },
    },
    attack_columns::BEST,
    attack_columns::BEFORE,
    attack_columns::FIRST_STEP,
    attack_columns::RESISTANCE,
    attack_columns::CONTROL,
    attack_columns::FEW_SHOT,
    Column {
        name: "8-bit ρ",
        meaning: "share of the knowledge that rounding the weights to 8 bits brings back or leaves",
        part: Part::Relearning,
        prominence: Prominence::Detail,
        cell: |row| bits(row, 8),
    },
    Column {
        name: "4-bit ρ",
        meaning: "share of the knowledge that rounding the weights to 4 bits brings back or leaves",
        part: Part::Relearning,
        prominence: Prominence::Overview,
        cell: |row| bits(row, 4),
    },
    Column {
        name: "Cost",
        meaning: "floating-point operations in proportion to making the oracle",
        part: Part::Cost,
        prominence: Prominence::Overview,
        cell: |row| match row.cost_share {
            Some(share) => Cell::number(share, format!("{:.1} %", share * 100.0 + 0.0)),
            None => Cell::absent(),
        },
    },
    attack_columns::ASYMMETRY,
    Column {
        name: "Tokens",
        meaning: "tokens through models, the frozen original's included",
        part: Part::Cost,
        prominence: Prominence::Detail,
        cell: |row| match row.cost {
            Some(cost) => Cell::number(cost.tokens as f64, cost.tokens.to_string()),
            None => Cell::absent(),
        },
    },
    Column {
        name: "Steps",
        meaning: "optimiser steps of one run",
        part: Part::Cost,
        prominence: Prominence::Detail,
        cell: |row| match row.cost {
            Some(cost) => Cell::number(cost.steps as f64, cost.steps.to_string()),
            None => Cell::absent(),
        },
    },
    Column {
        name: "Seeds",
        meaning: "models behind the row",
        part: Part::Cost,
        prominence: Prominence::Overview,
        cell: |row| Cell::number(row.seeds as f64, row.seeds.to_string()),
    },
];

/// The columns that say something in at least one row.
pub(crate) fn columns(card: &Scorecard) -> Vec<(&'static Column, Vec<Cell>)> {
    let cells = |column: &'static Column| -> Vec<Cell> {
        card.rows.iter().map(|row| (column.cell)(row)).collect()
    };
    let all = COLUMNS.iter().map(|column| (column, cells(column)));
    all.filter(|(_, cells)| cells.iter().any(|cell| *cell != Cell::absent()))
        .collect()
}
