//! What an experiment leaves behind: the scorecard as JSON and Markdown, every value and every attack as Parquet, the report as HTML.

use std::path::Path;

use anyhow::{Context, Result};
use harness_bench::RunDirectory;
use harness_bench::experiment::ExperimentRecord;
use harness_report::{
    attacks_parquet, experiment_card_markdown, experiment_card_text, experiment_parquet,
    html_report, machine_costs_text,
};

/// Writes everything that comes of a record into `folder` and returns the card for the terminal.
pub(in crate::commands) fn write_outputs(
    record: &ExperimentRecord,
    folder: &Path,
) -> Result<String> {
    let run = RunDirectory::open(folder)?;
    let card = record.scorecard()?;
    run.write_json("scorecard.json", &card)?;
    run.write("scorecard.md", experiment_card_markdown(&card).as_bytes())?;
    let values = experiment_parquet(record).context("samples.parquet")?;
    run.write("samples.parquet", &values)?;
    let attacks = attacks_parquet(&record.attacks).context("attacks.parquet")?;
    run.write("attacks.parquet", &attacks)?;
    let page = html_report(record, &card).context("report.html")?;
    run.write("report.html", page.as_bytes())?;
    Ok(format!(
        "{}\n{}\nKept in {}: report.html, scorecard.json, scorecard.md, samples.parquet, attacks.parquet, models/, stages/\n",
        experiment_card_text(&card),
        machine_costs_text(record),
        folder.display()
    ))
}
