//! The scorecard of an experiment as cells: the same columns for the terminal, Markdown and the HTML report. Formats numbers,
//! computes none.

use harness_bench::experiment::{
    Comparison, ExperimentRecord, Figure, HEADLINE, MachineCost, RelearnTime, Row, Scorecard,
    Standing, SubjectKind, UTILITY_BOUND,
};

use crate::table::{Align, Table};

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

/// A column: its name, what it means, and its cells.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    /// Whether the terminal has room for its small print.
    is_headline: bool,
    cell: fn(&Row) -> Cell,
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            note: String::new(),
            key: None,
        }
    }

    fn absent() -> Self {
        Self::text("–")
    }

    fn number(value: f64, text: String) -> Self {
        Self {
            key: Some(value),
            ..Self::text(text)
        }
    }

    fn figure(figure: Option<Figure>) -> Self {
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
fn rounded(value: f64) -> String {
    let value = (value * 1000.0).round() / 1000.0 + 0.0;
    format!("{value:.3}")
}

fn standing(row: &Row, cell: impl FnOnce(&Standing) -> Cell) -> Cell {
    row.standing.as_ref().map_or_else(Cell::absent, cell)
}

fn score(row: &Row, set: &str, metric: &str) -> Cell {
    standing(row, |standing| {
        let figure = standing.scores.get(set).and_then(|set| set.get(metric));
        Cell::figure(figure.copied())
    })
}

fn relearn(row: &Row, of: fn(&harness_bench::experiment::RelearnTimes) -> RelearnTime) -> Cell {
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
        Cell {
            note: ratio.unwrap_or_default(),
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
        is_headline: true,
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
        is_headline: false,
        cell: |row| {
            standing(row, |standing| {
                Cell::figure(standing.forgetting_paraphrased)
            })
        },
    },
    Column {
        name: "ES",
        meaning: "extraction strength: share of an answer that the model completes by itself",
        is_headline: false,
        cell: |row| score(row, "forget", HEADLINE),
    },
    Column {
        name: "P",
        meaning: "probability of the answers that were to be forgotten, length-normalised",
        is_headline: false,
        cell: |row| score(row, "forget", "probability"),
    },
    Column {
        name: "MIA",
        meaning: "area under the ROC curve of Min-K%, an attack that tells the forget set from texts no model has seen: 0.5 cannot; best is the oracle's",
        is_headline: false,
        cell: |row| {
            standing(row, |standing| {
                Cell::figure(standing.membership.get("min_k").copied())
            })
        },
    },
    Column {
        name: "Useful U",
        meaning: "mean over utility tasks of the share of the original's score that is left, chance taken off",
        is_headline: true,
        cell: |row| standing(row, |standing| Cell::figure(standing.utility)),
    },
    Column {
        name: "U worst",
        meaning: "the task with the smallest share",
        is_headline: true,
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
    Column {
        name: "T .5",
        meaning: "samples of relearning until half of the knowledge is back; ≥ not reached",
        is_headline: false,
        cell: |row| relearn(row, |times| times.half),
    },
    Column {
        name: "T .9",
        meaning: "samples of relearning until nine tenths are back",
        is_headline: true,
        cell: |row| relearn(row, |times| times.nine_tenths),
    },
    Column {
        name: "AURC",
        meaning: "mean recovery over a logarithmic grid of samples: 1 knew it from the start",
        is_headline: false,
        cell: |row| {
            standing(row, |standing| {
                standing.relearning.map_or_else(Cell::absent, |times| {
                    Cell::number(times.area, rounded(times.area))
                })
            })
        },
    },
    Column {
        name: "4-bit ρ",
        meaning: "share of the knowledge that rounding the weights to 4 bits brings back or leaves",
        is_headline: false,
        cell: |row| bits(row, 4),
    },
    Column {
        name: "Cost",
        meaning: "floating-point operations in proportion to making the oracle",
        is_headline: false,
        cell: |row| match row.cost_share {
            Some(share) => Cell::number(share, format!("{:.1} %", share * 100.0)),
            None => Cell::absent(),
        },
    },
    Column {
        name: "Tokens",
        meaning: "tokens through models, the frozen original's included",
        is_headline: false,
        cell: |row| match row.cost {
            Some(cost) => Cell::number(cost.tokens as f64, cost.tokens.to_string()),
            None => Cell::absent(),
        },
    },
    Column {
        name: "Steps",
        meaning: "optimiser steps of one run",
        is_headline: false,
        cell: |row| match row.cost {
            Some(cost) => Cell::number(cost.steps as f64, cost.steps.to_string()),
            None => Cell::absent(),
        },
    },
    Column {
        name: "Seeds",
        meaning: "models behind the row",
        is_headline: false,
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

/// A row's name with what marks it.
pub(crate) fn row_name(row: &Row) -> String {
    let is_front = row.kind == SubjectKind::Method && !row.is_dominated && row.standing.is_some();
    format!("{}{}", row.name, if is_front { " *" } else { "" })
}

/// The table; without `is_full` the small print of some columns is left out.
fn table(card: &Scorecard, is_full: bool) -> Table {
    let columns = columns(card);
    let mut headers = vec![("", Align::Left)];
    headers.extend(columns.iter().map(|(column, _)| (column.name, Align::Left)));
    let mut table = Table::new(&headers);
    for (place, row) in card.rows.iter().enumerate() {
        let mut cells = vec![row_name(row)];
        for (column, own) in &columns {
            let Cell { text, note, .. } = &own[place];
            let is_brief = note.is_empty() || !(is_full || column.is_headline);
            cells.push(if is_brief {
                text.clone()
            } else {
                format!("{text} ({note})")
            });
        }
        table.push(cells);
    }
    table
}

/// What is below the table: ranking with ties, failures, remarks, the meaning of the columns.
pub(crate) fn sentences(card: &Scorecard) -> Vec<String> {
    let mut lines = vec![ranking(card)];
    lines.extend(card.comparisons.iter().map(comparison));
    if let Some(floor) = card.noise_floor {
        lines.push(format!(
            "Two oracles of different seeds differ by {floor:.3} in F: methods that are nearer to 1 than that cannot be told from an oracle."
        ));
    }
    for row in &card.rows {
        for (seed, reason) in &row.failures {
            let seed = seed.map_or(String::new(), |seed| format!(", seed {seed}"));
            lines.push(format!("{}{seed} failed: {reason}", row.name));
        }
    }
    lines.extend(card.remarks.iter().cloned());
    lines
}

fn ranking(card: &Scorecard) -> String {
    let methods = card
        .rows
        .iter()
        .filter(|row| row.kind == SubjectKind::Method)
        .count();
    match card.ranking.as_slice() {
        [] => format!("None of the {methods} methods keeps U ≥ {UTILITY_BOUND}."),
        ranked => format!(
            "{} of {methods} methods keep U ≥ {UTILITY_BOUND}, most forgotten first: {}.",
            ranked.len(),
            ranked.join(", ")
        ),
    }
}

fn comparison(pair: &Comparison) -> String {
    let Comparison {
        more,
        less,
        difference,
        p_value,
        is_tie,
    } = pair;
    let verdict = if *is_tie {
        "cannot be told apart"
    } else {
        "differ"
    };
    let interval = difference.interval.map_or(String::new(), |(low, high)| {
        format!(", {} … {}", rounded(low), rounded(high))
    });
    format!(
        "{more} and {less} {verdict}: difference of F {}{interval}, p {p_value:.3} (Holm).",
        rounded(difference.value)
    )
}

/// Time and memory by row, means over its models: what differs from run to run.
pub(crate) fn machine_costs(record: &ExperimentRecord) -> Vec<(String, MachineCost)> {
    let mut rows: Vec<(String, Vec<MachineCost>)> = Vec::new();
    for subject in &record.subjects {
        let Some(cost) = subject.machine_cost else {
            continue;
        };
        match rows.iter_mut().find(|(row, _)| *row == subject.row) {
            Some((_, costs)) => costs.push(cost),
            None => rows.push((subject.row.clone(), vec![cost])),
        }
    }
    let mean = |(row, costs): (String, Vec<MachineCost>)| {
        let seconds = costs.iter().map(|cost| cost.seconds).sum::<f64>() / costs.len() as f64;
        let peak_bytes = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or(0);
        (
            row,
            MachineCost {
                seconds,
                peak_bytes,
            },
        )
    };
    rows.into_iter().map(mean).collect()
}

/// [`machine_costs`] for a terminal.
pub fn machine_costs_text(record: &ExperimentRecord) -> String {
    let mut table = Table::new(&[
        ("On this machine", Align::Left),
        ("Seconds", Align::Right),
        ("Peak MiB", Align::Right),
    ]);
    for (row, cost) in machine_costs(record) {
        let mebibytes = cost.peak_bytes >> 20;
        table.push(vec![
            row,
            format!("{:.1}", cost.seconds),
            mebibytes.to_string(),
        ]);
    }
    table.plain()
}

/// The card for a terminal.
pub fn experiment_card_text(card: &Scorecard) -> String {
    let mut text = format!(
        "Scorecard: forget {}\n\n{}\n",
        card.forget,
        table(card, false).plain()
    );
    for sentence in sentences(card) {
        text.push_str(&sentence);
        text.push('\n');
    }
    text.push_str("* forgets no less and keeps no less than any other method\n");
    let meanings = columns(card)
        .into_iter()
        .map(|(column, _)| format!("{}: {}\n", column.name, column.meaning));
    text.extend(std::iter::once("\n".to_owned()).chain(meanings));
    text
}

/// The card in Markdown.
pub fn experiment_card_markdown(card: &Scorecard) -> String {
    let lines = sentences(card)
        .into_iter()
        .map(|sentence| format!("- {sentence}\n"));
    let meanings = columns(card)
        .into_iter()
        .map(|(column, _)| format!("- **{}**: {}\n", column.name, column.meaning));
    let mut text = format!(
        "# Scorecard: forget {}\n\n{}\n",
        card.forget,
        table(card, true).markdown()
    );
    text.extend(lines);
    text.push_str("- \\* forgets no less and keeps no less than any other method\n\n");
    text.extend(meanings);
    text
}
