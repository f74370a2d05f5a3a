//! What an experiment measures besides knowledge of answers and plain utility tasks: truth ratios, choices about what was to be
//! forgotten, composite utility, the distance from the original, membership by gradients, and what models write. Decides what is
//! asked; the numbers come of the files beside this one.

use harness_engine::Scorer;
use harness_model::Model;
use harness_task::{Request, RequestOptions, Task};

use super::composite::Composite;
use super::fluency::{WRITTEN, written};
use super::record::{DocumentScores, Scores};
use super::retention::{NEUTRAL, Pair};
use super::run::Experiment;
use super::truth::{TRUTH, truth_ratio_scores};
use super::utility::utility;
use crate::answers::{AnswerSet, TextPair};
use crate::error::Result;
use crate::evaluate::requests;
use crate::membership::{Attack, GradientNorm, gradient_norms};

/// What it takes to measure all that, loaded.
#[derive(Default)]
pub struct Measures {
    /// The task that gives truth ratios.
    pub truth_ratio: Option<Task>,
    /// Questions with choices about what was to be forgotten.
    pub forget_choice: Vec<Task>,
    /// Documents to take of both.
    pub forget_options: RequestOptions,
    /// Texts that have nothing to do with the forget set.
    pub neutral: Vec<TextPair>,
    /// Utility tasks that are harmonic means.
    pub composites: Vec<Composite>,
}

impl Measures {
    /// Every request of its tasks.
    pub(super) fn requests(&self, utility_options: &RequestOptions) -> Result<Vec<Vec<Request>>> {
        let asked = self.truth_ratio.iter().chain(&self.forget_choice);
        let asked = asked.map(|task| (task, &self.forget_options));
        let useful = self.composites.iter().flat_map(|own| &own.tasks);
        let useful = useful.map(|task| (task, utility_options));
        asked
            .chain(useful)
            .map(|(task, options)| Ok(requests(&task.requests(options)?)))
            .collect()
    }
}

impl Experiment<'_> {
    /// Questions whose answers are written out: those that the report shows, and those that are judged for fluency.
    pub(super) fn written_documents(&self) -> usize {
        let judged = self.spec.fluency.unwrap_or(0);
        judged
            .max(self.spec.questions)
            .min(self.materials.forget.len())
    }

    /// Adds everything that is measured on the model alone.
    pub(super) fn measure_tasks(&self, scorer: &mut Scorer, scores: &mut Scores) -> Result<()> {
        let (materials, measures) = (self.materials, &self.materials.measures);
        if let Some(task) = &measures.truth_ratio {
            let ratios = truth_ratio_scores(task, scorer, &measures.forget_options)?;
            scores.sets.insert(TRUTH.to_owned(), ratios);
        }
        if let Some(name) = &self.spec.forget_choice {
            let (tasks, options) = (&measures.forget_choice, &measures.forget_options);
            scores.forget_choice = Some(utility(name, tasks, scorer, options)?);
        }
        for composite in &measures.composites {
            let own = composite.scores(scorer, &materials.utility_options)?;
            scores.composites.push(own);
        }
        Ok(())
    }

    /// Adds what is measured beside the original, where the scores have all answers that the model wrote.
    pub(super) fn measure_beside_original(&self, model: &Model, scores: &mut Scores) -> Result<()> {
        let (neutral, texts) = (self.spec.neutral.as_ref(), &scores.answers);
        if scores.retain.is_none() && neutral.is_none() && texts.is_empty() {
            return Ok(());
        }
        let opened;
        let original = if model.source == self.original() {
            model
        } else {
            opened = Model::open(&self.original(), &candle_core::Device::Cpu)?;
            &opened
        };
        let pair = Pair { original, model };
        let encoder = pair.encoder();
        let forget = &self.materials.forget;
        if !texts.is_empty() {
            let mut scorer = Scorer::new(original.decoder()?, original.tokenizer.clone());
            let vocabulary = original.spec.vocabulary;
            let judged = written(&self.spec.forget, forget, texts, &mut scorer, vocabulary)?;
            scores.sets.insert(WRITTEN.to_owned(), judged);
        }
        if let Some(retain) = &mut scores.retain {
            pair.add_to(retain, &self.materials.retain, &encoder)?;
        }
        if let Some(task) = neutral {
            let neutral = pair.neutral(task, &self.materials.measures.neutral, &encoder)?;
            scores
                .sets
                .extend(neutral.map(|own| (NEUTRAL.to_owned(), own)));
        }
        Ok(())
    }

    /// Adds the attack by gradient norms, a backward pass for each document.
    pub(super) fn measure_gradients(
        &self,
        model: &Model,
        scorer: &Scorer,
        scores: &mut Scores,
    ) -> Result<()> {
        let Some(holdout) = scores.holdout.as_mut().filter(|_| self.spec.gradient_norms) else {
            return Ok(());
        };
        let add = |scores: &mut DocumentScores, pairs: &[TextPair]| -> Result<()> {
            let set = AnswerSet::new(&scores.task, pairs, scorer.encoder())?;
            let ends = |pair: &_| scorer.encoder().ends_text(pair);
            let parts = (&model.spec, &model.weights);
            let norms = gradient_norms(parts, &set, ends, GradientNorm::Two)?;
            let name = Attack::GradientNorm.name().to_owned();
            scores.metrics.insert(name, norms);
            Ok(())
        };
        add(holdout, &self.materials.holdout)?;
        add(&mut scores.forget, &self.materials.forget)
    }
}
