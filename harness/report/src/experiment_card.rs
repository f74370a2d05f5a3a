//! The scorecard of an experiment as text: for the terminal and in Markdown. Formats numbers, computes none.

use harness_bench::experiment::{
    Comparison, ExperimentRecord, MachineCost, Row, Scorecard, SubjectKind, UTILITY_BOUND,
};

use crate::card_columns::{Cell, Column, columns, rounded};
use crate::measure_columns::ON_PAGES_ONLY;
use crate::table::{Align, Table};

/// A row's name with what marks it.
pub(crate) fn row_name(row: &Row) -> String {
    let is_front = row.kind == SubjectKind::Method && !row.is_dominated && row.standing.is_some();
    format!("{}{}", row.name, if is_front { " *" } else { "" })
}

/// The table; without `is_full` some columns are left out, and the small print of others.
fn table(card: &Scorecard, is_full: bool) -> Table {
    let columns = columns(card).into_iter();
    let columns = columns.filter(|(column, _)| is_full || !ON_PAGES_ONLY.contains(&column.name));
    let columns: Vec<_> = columns.collect();
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

/// Time and memory by row for a terminal: what differs from run to run.
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
    text.push('\n');
    let mut elsewhere = Vec::new();
    for (Column { name, meaning, .. }, _) in columns(card) {
        if ON_PAGES_ONLY.contains(name) {
            elsewhere.push(*name);
        } else {
            text.push_str(&format!("{name}: {meaning}\n"));
        }
    }
    if !elsewhere.is_empty() {
        let names = elsewhere.join(", ");
        text.push_str(&format!("In scorecard.md and report.html alone: {names}\n"));
    }
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
