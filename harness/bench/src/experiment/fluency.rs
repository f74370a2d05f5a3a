//! Whether what a model writes is still language: words that repeat, text that the original would hardly ever write, refusals.
//! Judges no truth: a fluent answer may be wrong.

use std::collections::BTreeMap;

use harness_engine::Scorer;
use harness_metric::{Bootstrap, is_refusal, repetition_rate};

use super::figure::{Figure, Proportion, Scale, mean_figure};
use super::record::{DocumentScores, Scores};
use super::standing::{Anchors, runs_of};
use crate::answers::TextPair;
use crate::error::Result;

/// The set of the record that has what models write.
pub(super) const WRITTEN: &str = "written";
/// Words of the runs that count as repeated, as in the tasks' `repetition_rate`.
const RUN: usize = 4;
/// Metrics of the record.
const FLUENCY: &str = "fluency";
const REFUSAL: &str = "refusal";

/// Judges the texts that a model wrote as answers to `pairs`. A text is gibberish where its loss under the original is beyond half
/// of what guessing evenly among all tokens has; a refusal, which the original may never have written, is none.
pub(super) fn written(
    task: &str,
    pairs: &[TextPair],
    texts: &[String],
    original: &mut Scorer,
    vocabulary: usize,
) -> Result<DocumentScores> {
    let bound = (vocabulary as f64).ln() / 2.0;
    let (mut asked, mut tokens) = (Vec::new(), Vec::new());
    for (place, (pair, text)) in pairs.iter().zip(texts).enumerate() {
        if !text.is_empty() {
            let gap = &pair.answer[..pair.answer.len() - pair.answer.trim_start().len()];
            let encoder = original.encoder();
            tokens.push(encoder.pair(&pair.prompt, &format!("{gap}{text}"))?);
            asked.push(place);
        }
    }
    let scored = original.score_answers(&tokens, false, &mut |_| {})?;
    let mut losses = vec![None; texts.len()];
    for (place, scored) in asked.into_iter().zip(&scored) {
        losses[place] = Some(scored.loss(true)?);
    }
    let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (text, loss) in texts.iter().zip(losses) {
        let (repetition, is_refusal) = (repetition_rate(text, RUN), is_refusal(text));
        // Nothing is no answer either.
        let is_gibberish = !is_refusal && loss.is_none_or(|loss| loss > bound);
        let values = [
            ("repetition", repetition),
            ("gibberish", f64::from(u8::from(is_gibberish))),
            (REFUSAL, f64::from(u8::from(is_refusal))),
            (FLUENCY, if is_gibberish { 0.0 } else { 1.0 - repetition }),
        ];
        for (name, value) in values {
            metrics.entry(name.to_owned()).or_default().push(value);
        }
    }
    Ok(DocumentScores {
        task: task.to_owned(),
        metrics,
    })
}

impl<'a> Anchors<'a> {
    /// Fluency of what some runs write, in proportion to the original's.
    pub(super) fn fluency(&self, runs: &[&'a Scores], bootstrap: Bootstrap) -> Option<Figure> {
        self.written(runs, FLUENCY, Scale::Utility(0.0), bootstrap)
    }

    /// Share of the answers that refuse.
    pub(super) fn refusals(&self, runs: &[&'a Scores], bootstrap: Bootstrap) -> Option<Figure> {
        self.written(runs, REFUSAL, Scale::Plain, bootstrap)
    }

    fn written(
        &self,
        runs: &[&'a Scores],
        metric: &str,
        scale: Scale<'a>,
        bootstrap: Bootstrap,
    ) -> Option<Figure> {
        let set = |scores: &'a Scores| scores.sets.get(WRITTEN);
        let proportion = Proportion {
            runs: runs_of(runs, set, metric)?,
            original: runs_of(&[self.original], set, metric)?,
            scale,
        };
        mean_figure(bootstrap, &[proportion]).ok()
    }
}
