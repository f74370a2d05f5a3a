//! The scorecard of an experiment as text: for the terminal and in Markdown. Formats numbers, computes none.

use harness_bench::experiment::{
    Comparison, ExperimentRecord, MachineCost, Ranking, Row, Scorecard, SubjectKind,
};

use crate::card_columns::{Cell, Column, Part, Prominence, columns, rounded};
use crate::table::{Align, Table};

/// A row's name with what marks it.
pub(crate) fn row_name(row: &Row) -> String {
    let is_front = row.kind == SubjectKind::Method && !row.is_dominated && row.standing.is_some();
    format!("{}{}", row.name, if is_front { " *" } else { "" })
}

/// The table of some columns; without `is_full`, the small print of all but headlines is left out.
fn table(card: &Scorecard, is_full: bool, is_shown: impl Fn(&Column) -> bool) -> Table {
    let mut columns = columns(card);
    columns.retain(|(column, _)| is_shown(column));
    let mut headers = vec![("", Align::Left)];
    headers.extend(columns.iter().map(|(column, _)| (column.name, Align::Left)));
    let mut table = Table::new(&headers);
    for (place, row) in card.rows.iter().enumerate() {
        let mut cells = vec![row_name(row)];
        for (column, own) in &columns {
            let Cell { text, note, .. } = &own[place];
            let is_headline = column.prominence == Prominence::Headline;
            let is_brief = note.is_empty() || !(is_full || is_headline);
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

fn is_in_overview(column: &Column) -> bool {
    column.prominence >= Prominence::Overview
}

/// What is below the table: ranking with ties, failures, remarks, the meaning of the columns.
pub(crate) fn sentences(card: &Scorecard) -> Vec<String> {
    let mut lines = ranking(card);
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

fn ranking(card: &Scorecard) -> Vec<String> {
    let methods = (card.rows.iter())
        .filter(|row| row.kind == SubjectKind::Method)
        .count();
    let Ranking {
        demands,
        ranked,
        resistant,
        ..
    } = &card.ranking;
    let is_fluency_known = |row: &Row| row.standing.as_ref().is_some_and(|s| s.fluency.is_some());
    let mut kept = format!("U ≥ {}", demands.utility);
    if card.rows.iter().any(is_fluency_known) {
        kept = format!("{kept} and {} of the original's fluency", demands.fluency);
    }
    if ranked.is_empty() {
        return vec![format!("None of the {methods} methods keeps {kept}.")];
    }
    let mut lines = vec![format!(
        "{} of {methods} methods keep {kept}, most forgotten first: {} (≈ neighbours that cannot be told apart, > neighbours that differ in F: paired bootstrap, Holm).",
        ranked.len(),
        in_order(ranked, &card.ranking.comparisons)
    )];
    let bound = demands.relearning;
    lines.extend(resistant.as_ref().map(|resistant| match resistant.as_slice() {
        [] => format!("None of these takes an attacker {bound} of the oracle's samples to bring half of it back: what they forgot can be undone."),
        resistant => format!("Of these, an attacker needs at least {bound} of the oracle's samples to bring half of it back for {}.", resistant.join(", ")),
    }));
    lines
}

/// The ranked names with signs between them.
fn in_order(ranked: &[String], comparisons: &[Comparison]) -> String {
    let mut text = String::new();
    for name in ranked {
        let before = comparisons.iter().find(|pair| &pair.less == name);
        text.push_str(match before {
            _ if text.is_empty() => "",
            Some(pair) if !pair.is_tie => " > ",
            _ => " ≈ ",
        });
        text.push_str(name);
    }
    text
}

/// The neighbours of the ranking, a line each.
pub(crate) fn comparisons(card: &Scorecard) -> Vec<String> {
    card.ranking.comparisons.iter().map(comparison).collect()
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
        table(card, false, is_in_overview).plain()
    );
    for sentence in sentences(card) {
        text.push_str(&sentence);
        text.push('\n');
    }
    text.push_str("* forgets no less and keeps no less than any other method\n");
    text.push('\n');
    let mut elsewhere = Vec::new();
    for (column, _) in columns(card) {
        let Column { name, meaning, .. } = column;
        if is_in_overview(column) {
            text.extend([name, ": ", meaning, "\n"]);
        } else {
            elsewhere.push(*name);
        }
    }
    if !elsewhere.is_empty() {
        let names = elsewhere.join(", ");
        text.extend(["In scorecard.md and report.html alone: ", &names, "\n"]);
    }
    text
}

/// The card in Markdown: an overview, then each part with all its columns and their small print.
pub fn experiment_card_markdown(card: &Scorecard) -> String {
    let mut text = format!(
        "# Scorecard: forget {}\n\n{}\n",
        card.forget,
        table(card, false, is_in_overview).markdown()
    );
    let line = |text: String| format!("- {text}\n");
    text.extend(sentences(card).into_iter().map(line));
    text.push_str("- \\* forgets no less and keeps no less than any other method\n");
    for part in Part::ALL {
        let shown = columns(card).into_iter().map(|(column, _)| column);
        let own: Vec<&Column> = shown.filter(|column| column.part == part).collect();
        if own.is_empty() {
            continue;
        }
        let table = table(card, true, |column| column.part == part).markdown();
        text.extend(["\n## ", part.name(), "\n\n", &table, "\n"]);
        let meaning = |column: &Column| format!("**{}**: {}", column.name, column.meaning);
        text.extend(own.into_iter().map(meaning).map(line));
    }
    if !card.ranking.comparisons.is_empty() {
        text.push_str("\n## Neighbours of the ranking\n\n");
        text.extend(comparisons(card).into_iter().map(line));
    }
    text
}
