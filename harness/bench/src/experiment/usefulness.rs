//! How useful a row still is in proportion to the original, task by task and in the mean, and what it still answers of choices about
//! what was to be forgotten. Leaves tasks out on which the original is no better than guessing.

use std::collections::BTreeMap;

use harness_metric::{Bootstrap, MetricError, Resample};

use super::composite::HarmonicShare;
use super::figure::{Figure, Proportion, Scale, Share, mean_figure};
use super::record::{Scores, UtilityScores};
use super::standing::Anchors;
use crate::error::Result;

/// What is left on one utility task.
enum UtilityShare<'a> {
    Task(Proportion<'a>),
    Composite(HarmonicShare<'a>),
}

impl Share for UtilityShare<'_> {
    fn seeds(&self) -> usize {
        match self {
            Self::Task(share) => share.seeds(),
            Self::Composite(share) => share.seeds(),
        }
    }

    fn documents(&self) -> Vec<usize> {
        match self {
            Self::Task(share) => share.documents(),
            Self::Composite(share) => share.documents(),
        }
    }

    fn of(&self, resample: &Resample, first: usize) -> Result<f64, MetricError> {
        match self {
            Self::Task(share) => share.of(resample, first),
            Self::Composite(share) => share.of(resample, first),
        }
    }
}

/// Whether a score is above guessing by more than two standard errors.
pub(super) fn is_above_chance(task: &UtilityScores) -> bool {
    let stderr = harness_metric::mean_stderr(&task.values).ok().flatten();
    let bound = task.chance + 2.0 * stderr.unwrap_or(0.0);
    harness_metric::mean(&task.values).is_ok_and(|mean| mean > bound)
}

impl<'a> Anchors<'a> {
    /// What is left on each utility task that says something, and the mean of that.
    pub(super) fn utilities(
        &self,
        runs: &[&'a Scores],
        bootstrap: Bootstrap,
    ) -> Result<(BTreeMap<String, Figure>, Option<Figure>)> {
        let mut shares = Vec::new();
        for (place, task) in self.original.utility.iter().enumerate() {
            let own = |scores: &&'a Scores| scores.utility.get(place);
            let share = proportion(task, runs.iter().map(own).collect::<Option<Vec<_>>>());
            let useful = share.filter(|_| self.useful[place]);
            shares.extend(useful.map(|share| (&task.task, UtilityShare::Task(share))));
        }
        for (place, composite) in self.original.composites.iter().enumerate() {
            let share = HarmonicShare::new(self.original, runs, place);
            shares.extend(share.map(|share| (&composite.task, UtilityShare::Composite(share))));
        }
        let mut figures = BTreeMap::new();
        for (task, share) in &shares {
            let figure = mean_figure(bootstrap, std::slice::from_ref(share))?;
            figures.insert((*task).clone(), figure);
        }
        let shares: Vec<UtilityShare<'_>> = shares.into_iter().map(|(_, share)| share).collect();
        let mean = (!shares.is_empty()).then(|| mean_figure(bootstrap, &shares));
        Ok((figures, mean.transpose()?))
    }

    /// F over chance of questions with choices: 0 like the original, 1 at guessing.
    pub(super) fn forgetting_choice(
        &self,
        runs: &[&'a Scores],
        bootstrap: Bootstrap,
    ) -> Option<Figure> {
        let original = self.original.forget_choice.as_ref()?;
        let own = |scores: &&'a Scores| scores.forget_choice.as_ref();
        let share = proportion(original, runs.iter().map(own).collect::<Option<Vec<_>>>())?;
        let left = is_above_chance(original).then(|| mean_figure(bootstrap, &[share]));
        let Figure { value, interval } = left?.ok()?;
        Some(Figure {
            value: 1.0 - value,
            interval: interval.map(|(low, high)| (1.0 - high, 1.0 - low)),
        })
    }

    /// Tasks that say nothing, for the reader.
    pub(super) fn useless_remarks(&self) -> Vec<String> {
        let tasks = self.original.utility.iter().zip(&self.useful);
        let useless = tasks.filter(|(_, useful)| !**useful);
        let mut remarks: Vec<String> = useless
            .map(|(task, _)| {
                format!(
                    "{}: the original is no better than guessing, so the task is not part of U",
                    task.task
                )
            })
            .collect();
        let choice = self.original.forget_choice.as_ref();
        remarks.extend(choice.filter(|task| !is_above_chance(task)).map(|task| {
            format!(
                "{}: the original is no better than guessing, so nothing can be forgotten of it",
                task.task
            )
        }));
        remarks
    }
}

/// A task's score between guessing and the original, where all runs have it of the same documents.
fn proportion<'a>(
    original: &'a UtilityScores,
    runs: Option<Vec<&'a UtilityScores>>,
) -> Option<Proportion<'a>> {
    let of = |scores: &&'a UtilityScores| {
        let fits = scores.values.len() == original.values.len();
        fits.then_some(scores.values.as_slice())
    };
    Some(Proportion {
        runs: runs?.iter().map(of).collect::<Option<_>>()?,
        original: vec![&original.values],
        scale: Scale::Utility(original.chance),
    })
}
