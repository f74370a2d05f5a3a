//! The report of an experiment: one HTML file that needs nothing else, in light and dark. Shows what was measured and computes
//! nothing.

mod chart;
mod figures;
mod labels;
mod relearning;
mod scale;
mod trails;

use harness_bench::experiment::{AnsweredQuestion, ExperimentRecord, Scorecard, SubjectKind};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value};
use serde::Serialize;

use crate::card_columns::{Column, Part, Prominence, columns};
use crate::experiment_card::{comparisons, machine_costs, row_name, sentences};

const PAGE: &str = include_str!("page.html.j2");
const STYLE: &str = include_str!("style.css");
const SORTING: &str = include_str!("sorting.js");

#[derive(Serialize)]
struct Header {
    name: &'static str,
    meaning: &'static str,
    /// Where it is shown: classes of the style sheet.
    class: String,
}

#[derive(Serialize)]
struct TableRow {
    name: String,
    class: &'static str,
    cells: Vec<TableCell>,
}

#[derive(Serialize)]
struct TableCell {
    class: String,
    text: String,
    note: String,
    key: Option<f64>,
}

/// Everything that the page's template takes.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    sorting: &'static str,
    name: &'a str,
    forget: &'a str,
    /// Parts of the card that have columns.
    parts: Vec<&'static str>,
    headers: Vec<Header>,
    rows: Vec<TableRow>,
    sentences: Vec<String>,
    comparisons: Vec<String>,
    pareto: Option<String>,
    relearning: Vec<figures::Panel>,
    training: Vec<figures::Panel>,
    dynamics: Vec<figures::Panel>,
    rounding: Option<String>,
    questions: &'a [AnsweredQuestion],
    facts: &'a [(String, String)],
    /// Row, seconds and mebibytes.
    machine_costs: Vec<(String, String, u64)>,
}

/// The parts of the card in which a column is shown.
fn class_of(column: &Column) -> String {
    let part = column.part.name();
    if column.prominence == Prominence::Detail {
        format!("in-{part}")
    } else {
        format!("in-{part} in-Overview")
    }
}

/// The page.
///
/// # Errors
/// When the page's template fails, which is a bug.
pub fn html_report(
    record: &ExperimentRecord,
    card: &Scorecard,
) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page", PAGE)?;
    let columns = columns(card);
    let headers: Vec<Header> = columns
        .iter()
        .map(|(column, _)| Header {
            name: column.name,
            meaning: column.meaning,
            class: class_of(column),
        })
        .collect();
    let rows: Vec<TableRow> = card
        .rows
        .iter()
        .enumerate()
        .map(|(place, row)| TableRow {
            name: row_name(row),
            class: match row.kind {
                SubjectKind::Method => "method",
                _ => "anchor",
            },
            cells: columns
                .iter()
                .map(|(column, cells)| TableCell {
                    class: class_of(column),
                    text: cells[place].text.clone(),
                    note: cells[place].note.clone(),
                    key: cells[place].key,
                })
                .collect(),
        })
        .collect();
    let page = Page {
        style: STYLE,
        sorting: SORTING,
        name: &record.name,
        forget: &card.forget,
        parts: Part::ALL
            .into_iter()
            .filter(|part| columns.iter().any(|(column, _)| column.part == *part))
            .map(Part::name)
            .collect(),
        headers,
        rows,
        sentences: sentences(card),
        comparisons: comparisons(card),
        pareto: figures::pareto(card),
        relearning: relearning::relearning(record, card),
        training: figures::training(record),
        dynamics: trails::dynamics(card),
        rounding: figures::rounding(card),
        questions: &record.questions,
        facts: &record.facts,
        machine_costs: machine_costs(record)
            .into_iter()
            .map(|(row, cost)| (row, format!("{:.1}", cost.seconds), cost.peak_bytes >> 20))
            .collect(),
    };
    let page = Value::from(Serde(&page));
    environment.get_template("page")?.render(page)
}
