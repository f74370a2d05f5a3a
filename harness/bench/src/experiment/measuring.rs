//! What is measured on each model of an experiment: what it knows of the forget set, also after rounding, what it is still good
//! for, and how fast it learns back. Finished measurements are found by the model's contents and the questions asked.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Device;
use harness_engine::{Scorer, model_identity};
use harness_model::{Decoder, Model};
use serde::Serialize;

use super::answering::answers;
use super::knowledge::knowledge;
use super::plan::PlannedSubject;
use super::record::{DocumentScores, Scores};
use super::run::Experiment;
use super::utility::utility;
use crate::answers::TextPair;
use crate::error::Result;
use crate::evaluate::requests;
use crate::event::{Event, Observer};
use crate::run_directory::sha256_hex;

/// Raised whenever measurements of older versions must not be taken over.
const VERSION: u32 = 2;

/// What a measurement depends on.
#[derive(Serialize)]
struct Inputs {
    version: u32,
    model: String,
    /// What it is compared with.
    original: String,
    questions: String,
}

impl Experiment<'_> {
    /// Measures a model, or finds it measured.
    pub(super) fn measured(
        &self,
        planned: &PlannedSubject,
        directory: &Path,
        observer: &mut Observer,
    ) -> Result<Scores> {
        let name = planned.file_name();
        let stage = format!("score-{name}");
        let inputs = Inputs {
            version: VERSION,
            model: model_identity(&[directory], "")?.to_string(),
            original: model_identity(&[&self.original()], "")?.to_string(),
            questions: self.questions()?,
        };
        if let Some(scores) = self.run.finished(&stage, &inputs) {
            return Ok(scores);
        }
        observer(Event::StageStarted {
            name: format!("score {name}"),
            total: Some(self.materials.utility.len() + 2),
            unit: "sets",
        });
        let scores = self.measure(directory, observer)?;
        self.run.finish(&stage, &inputs, &scores)?;
        let strengths = &scores.forget.metrics[super::standing::HEADLINE];
        let remark = format!(
            "extraction strength {:.3}",
            harness_metric::mean(strengths)?
        );
        observer(Event::StageFinished { remark });
        Ok(scores)
    }

    /// A hash of everything that is asked.
    pub(super) fn questions(&self) -> Result<String> {
        let materials = self.materials;
        let mut asked = Vec::new();
        for (name, tasks) in &materials.utility {
            for task in tasks {
                let documents = task.requests(&materials.utility_options)?;
                asked.push((name, requests(&documents)));
            }
        }
        let pairs = (
            &materials.forget,
            &materials.paraphrased,
            &materials.holdout,
            &materials.retain,
        );
        let measures = &materials.measures;
        let further = (
            measures.requests(&materials.utility_options)?,
            &measures.neutral,
            self.spec.gradient_norms,
        );
        let written = (self.spec.questions, self.written_documents());
        let all = (pairs, asked, &self.spec.rounding, written, further);
        let text = serde_json::to_vec(&all)
            .map_err(|error| crate::BenchError::Request(error.to_string()))?;
        Ok(sha256_hex(&text))
    }

    /// The questions whose answers the report shows.
    pub(super) fn asked(&self) -> &[TextPair] {
        let all = &self.materials.forget;
        &all[..self.spec.questions.min(all.len())]
    }

    fn measure(&self, directory: &Path, observer: &mut Observer) -> Result<Scores> {
        let (materials, spec) = (self.materials, self.spec);
        let model = Model::open(directory, &Device::Cpu)?;
        let mut scorer = Scorer::new(model.decoder()?, model.tokenizer.clone());
        let mut done = 0;
        let mut advance = |remark: &str| {
            done += 1;
            observer(Event::StageAdvanced {
                done,
                work_done: None,
                remark: remark.to_owned(),
            });
        };
        let mut some =
            |task: &Option<String>, pairs: &[TextPair]| -> Result<Option<DocumentScores>> {
                let named = task.as_ref().filter(|_| !pairs.is_empty());
                named
                    .map(|task| knowledge(task, pairs, &mut scorer))
                    .transpose()
            };
        let paraphrased = some(&spec.paraphrased, &materials.paraphrased)?;
        let holdout = some(&spec.holdout, &materials.holdout)?;
        let retain = some(&spec.retain, &materials.retain)?;
        let forget = knowledge(&spec.forget, &materials.forget, &mut scorer)?;
        advance(&spec.forget);
        let mut utilities = Vec::new();
        for (name, tasks) in &materials.utility {
            utilities.push(utility(
                name,
                tasks,
                &mut scorer,
                &materials.utility_options,
            )?);
            advance(name);
        }
        let mut scores = Scores {
            forget,
            paraphrased,
            holdout,
            retain,
            utility: utilities,
            composites: Vec::new(),
            forget_choice: None,
            sets: BTreeMap::new(),
            rounded: self.rounded(&model)?,
            recovery: None,
            answers: answers(&materials.forget[..self.written_documents()], &mut scorer)?,
        };
        self.measure_tasks(&mut scorer, &mut scores)?;
        self.measure_gradients(&model, &scorer, &mut scores)?;
        self.measure_beside_original(&model, &mut scores)?;
        scores.answers.truncate(self.asked().len());
        Ok(scores)
    }

    /// What is known of the forget set after the weights were rounded.
    fn rounded(&self, model: &Model) -> Result<BTreeMap<u32, DocumentScores>> {
        let (spec, forget) = (self.spec, &self.materials.forget);
        let known = |&bits: &u32| {
            let weights = model.weights.rounded(&model.spec, bits)?;
            let decoder = Decoder::new(model.spec.clone(), &weights)?;
            let mut scorer = Scorer::new(decoder, model.tokenizer.clone());
            Ok((bits, knowledge(&spec.forget, forget, &mut scorer)?))
        };
        spec.rounding.iter().map(known).collect()
    }
}
