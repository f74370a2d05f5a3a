//! `harness eval` on several models: one after the other, what an earlier run has finished taken over, one table of all. It refuses
//! options that speak of one model.

use std::path::{Path, PathBuf};

use anyhow::Result;
use harness_bench::{Event, RunDirectory, sha256_hex};
use harness_report::{ModelScores, SamplesFormat, models_table};
use serde_json::{Value, json};

use super::model::WantedModel;
use super::{Asked, Eval};
use crate::exit::Refused;
use crate::output;
use crate::progress::Terminal;

/// The scores of all models, in the folder for the results.
const SCORES: &str = "models.json";

impl Eval {
    /// Scores every model, and prints and writes the scores of all.
    pub(super) fn score_several(
        &self,
        models: &[WantedModel],
        asked: &Asked,
        terminal: &mut Terminal,
    ) -> Result<()> {
        let folder = self.folder_of_several()?;
        // A model that cannot be opened is found before hours of work on the others.
        let places = models.iter().map(|model| model.check(terminal));
        let places = places.collect::<Result<Vec<PathBuf>>>()?;
        let asks = self.what_is_asked(asked)?;
        let (mut all, mut failures) = (Vec::new(), Vec::new());
        for (model, place) in models.iter().zip(&places) {
            let scores = match &folder {
                Some(folder) => self.score_once(model, place, asked, &asks, folder, terminal),
                None => self.scores(model, asked, terminal),
            };
            // One that fails does not keep the others from being scored.
            match scores {
                Ok(scores) => all.push(scores),
                Err(failure) => {
                    terminal.show(Event::Message(format!("{}: {failure}", model.name())));
                    failures.push(failure);
                }
            }
            if let Some(folder) = &folder {
                folder.write_json(SCORES, &all)?;
            }
        }
        if !all.is_empty() {
            let mut text = models_table(&all);
            if let Some(folder) = &folder {
                text = format!("{text}\n{}\n", folder.join(SCORES).display());
            }
            output::print(&text)?;
        }
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    fn folder_of_several(&self) -> Result<Option<RunDirectory>> {
        if self.show_config == Some(true) {
            let problem =
                "--show-config goes with one model; results_*.json has the settings of each";
            return Err(Refused(problem.into()).into());
        }
        let output = self.output_path.as_deref();
        if let Some(file) = output.filter(|output| output.extension().is_some_and(|e| e == "json"))
        {
            let problem = format!(
                "--output-path {}: several models need a folder",
                file.display()
            );
            return Err(Refused(problem).into());
        }
        Ok(output.map(RunDirectory::open).transpose()?)
    }

    /// Scores a model, unless the same was asked of the same weights before and the results are still there.
    fn score_once(
        &self,
        model: &WantedModel,
        place: &Path,
        asked: &Asked,
        asks: &Value,
        folder: &RunDirectory,
        terminal: &mut Terminal,
    ) -> Result<ModelScores> {
        let inputs = json!({ "model": model.identity(place)?.to_string(), "asked": asks });
        let stage = format!("eval-{:.16}", sha256_hex(inputs.to_string().as_bytes()));
        let finished: Option<ModelScores> = folder.finished(&stage, &inputs);
        let is_there = |scores: &ModelScores| scores.results.as_deref().is_some_and(Path::is_file);
        // What a Python function computes may have changed without any of its inputs.
        if let Some(scores) = finished.filter(is_there)
            && self.trust_remote_code != Some(true)
        {
            let model = model.name();
            let said = format!("{model}: scored before, as before");
            terminal.show(Event::Message(said));
            return Ok(ModelScores { model, ..scores });
        }
        let scores = self.scores(model, asked, terminal)?;
        folder.finish(&stage, &inputs, &scores)?;
        Ok(scores)
    }

    fn scores(
        &self,
        model: &WantedModel,
        asked: &Asked,
        terminal: &mut Terminal,
    ) -> Result<ModelScores> {
        terminal.show(Event::Message(model.name()));
        let (run, results) = self.score(model, asked, terminal)?;
        Ok(ModelScores::new(model.name(), results, &run))
    }

    /// All that the scores and files of a model depend on besides the model: its template makes the prompts that are looked at here
    /// into others, and is its own.
    fn what_is_asked(&self, asked: &Asked) -> Result<Value> {
        let options = self.prompts.plain_options()?;
        let tasks = asked.tasks.iter().map(|task| -> Result<Value> {
            let documents = task.requests(&asked.documents.of(task.spec(), &options))?;
            let requests = documents.iter().flat_map(|document| &document.requests);
            let rows = task.documents().iter().map(|row| json!(row));
            let lines = rows.chain(requests.map(|request| json!(request.arguments())));
            let text: String = lines.map(|line| line.to_string() + "\n").collect();
            Ok(json!([task.spec(), sha256_hex(text.as_bytes())]))
        });
        let samples = asked.samples.map(|format| match format {
            SamplesFormat::Jsonl => "jsonl",
            SamplesFormat::Parquet => "parquet",
            SamplesFormat::Both => "both",
        });
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "tree": asked.tree,
            "tasks": tasks.collect::<Result<Vec<Value>>>()?,
            "prompts": self.prompts,
            "limit": self.documents.limit,
            "rows": asked.documents.rows,
            "samples": samples,
        }))
    }
}
