//! Utility that is the harmonic mean of several scores, such as TOFU's model utility: its parts, measured, and in proportion to the
//! original's. Refuses parts that are no means over documents.

use harness_data::DataSource;
use harness_engine::Scorer;
use harness_metric::{
    MetricError, Resample, chance_corrected_utility, harmonic_mean, truth_ratio_advantage,
    truth_ratio_closeness,
};
use harness_task::{
    Aggregation, GroupNode, RequestOptions, Sample, Selection, Task, TaskNode, TaskSpec,
};

use super::figure::{Runs, Share, drawn_mean};
use super::record::{CompositePart, CompositeScores, Scores};
use crate::error::{BenchError, Result};
use crate::evaluate::evaluate;

/// A group of tasks whose score is one harmonic mean.
pub struct Composite {
    /// The group's name.
    pub name: String,
    /// What the mean is called.
    pub metric: String,
    /// The metrics that it is a mean of, each of every task that has it.
    pub of: Vec<String>,
    /// The tasks, with these metrics alone.
    pub tasks: Vec<Task>,
}

impl Composite {
    /// Loads what `name` stands for, if it is a group with one harmonic mean.
    ///
    /// # Errors
    /// When a task's data cannot be read.
    pub fn load(name: &str, selection: &Selection, source: &DataSource) -> Result<Option<Self>> {
        let [TaskNode::Group(group)] = selection.tree.as_slice() else {
            return Ok(None);
        };
        let GroupNode {
            aggregate_metric_list,
            ..
        } = group;
        let [aggregate] = aggregate_metric_list.as_slice() else {
            return Ok(None);
        };
        let of = aggregate.harmonic_mean_of.clone();
        if of.is_empty() {
            return Ok(None);
        }
        let task = |spec: &TaskSpec| {
            let mut spec = spec.clone();
            spec.metric_list.retain(|metric| of.contains(&metric.name));
            Task::load(spec, source)
        };
        Ok(Some(Self {
            name: name.to_owned(),
            metric: aggregate.metric.clone(),
            tasks: selection.tasks.iter().map(task).collect::<Result<_, _>>()?,
            of,
        }))
    }

    /// Measures the parts on a model.
    pub(super) fn scores(
        &self,
        scorer: &mut Scorer,
        options: &RequestOptions,
    ) -> Result<CompositeScores> {
        let mut parts = Vec::new();
        for task in &self.tasks {
            let samples = evaluate(task, scorer, options, &mut |_| {})?.samples;
            for metric in &task.spec().metric_list {
                let value = |sample: &Sample| self.value(task, sample, &metric.name);
                let values = samples.iter().map(value);
                let values = values.collect::<Result<Vec<f64>>>()?.into_iter();
                let values = values.map(|value| match metric.aggregation {
                    Aggregation::Mean => Ok(value),
                    Aggregation::TrueBetter => Ok(truth_ratio_advantage(value)?),
                    Aggregation::CloserToOneBetter => Ok(truth_ratio_closeness(value)?),
                    _ => Err(self.no_mean(task, &metric.name)),
                });
                parts.push(CompositePart {
                    task: task.spec().task.clone(),
                    metric: metric.name.clone(),
                    values: values.collect::<Result<_>>()?,
                });
            }
        }
        Ok(CompositeScores {
            task: self.name.clone(),
            metric: self.metric.clone(),
            parts,
        })
    }

    fn value(&self, task: &Task, sample: &Sample, name: &str) -> Result<f64> {
        let mut metrics = sample.metrics.iter();
        let own = metrics.find(|metric| metric.name == name);
        let value = own.and_then(harness_task::MetricValue::number);
        value.ok_or_else(|| self.no_mean(task, name))
    }

    fn no_mean(&self, task: &Task, metric: &str) -> BenchError {
        BenchError::Request(format!(
            "utility {}: {metric} of {} is no mean over documents, so it cannot be a part of {}",
            self.name,
            task.spec().task,
            self.metric
        ))
    }
}

/// A harmonic mean in proportion to the original's, for each draw; parts of one task share their documents.
pub(super) struct HarmonicShare<'a> {
    /// By part.
    runs: Vec<Runs<'a>>,
    original: Vec<Runs<'a>>,
    /// The set of each part.
    sets: Vec<usize>,
    /// Documents of each set.
    sizes: Vec<usize>,
}

impl<'a> HarmonicShare<'a> {
    /// Of composite number `place`; `None` where a run lacks it or has other documents.
    pub(super) fn new(original: &'a Scores, runs: &[&'a Scores], place: usize) -> Option<Self> {
        let whole = original.composites.get(place)?;
        let all = |runs: &[&'a Scores]| -> Option<Vec<Runs<'a>>> {
            let part = |(number, part): (usize, &CompositePart)| {
                let of = |scores: &&'a Scores| {
                    let own = scores.composites.get(place)?.parts.get(number)?;
                    let fits = own.task == part.task
                        && own.metric == part.metric
                        && own.values.len() == part.values.len();
                    fits.then_some(own.values.as_slice())
                };
                runs.iter().map(of).collect::<Option<Runs<'a>>>()
            };
            whole.parts.iter().enumerate().map(part).collect()
        };
        let (mut tasks, mut sets, mut sizes) = (Vec::<&str>::new(), Vec::new(), Vec::new());
        for part in &whole.parts {
            let known = tasks.iter().position(|task| *task == part.task);
            sets.push(known.unwrap_or_else(|| {
                tasks.push(&part.task);
                sizes.push(part.values.len());
                tasks.len() - 1
            }));
        }
        Some(Self {
            runs: all(runs)?,
            original: all(&[original])?,
            sets,
            sizes,
        })
    }

    fn mean(
        &self,
        parts: &[Runs<'a>],
        resample: &Resample,
        first: usize,
    ) -> Result<f64, MetricError> {
        let means = parts.iter().zip(&self.sets);
        let means = means.map(|(runs, set)| drawn_mean(runs, resample, first + set));
        harmonic_mean(&means.collect::<Vec<f64>>())
    }
}

impl Share for HarmonicShare<'_> {
    fn seeds(&self) -> usize {
        self.runs.first().map_or(0, Vec::len)
    }

    fn documents(&self) -> Vec<usize> {
        self.sizes.clone()
    }

    fn of(&self, resample: &Resample, first: usize) -> Result<f64, MetricError> {
        let own = self.mean(&self.runs, resample, first)?;
        let original = self.mean(&self.original, resample, first)?;
        chance_corrected_utility(own, original, 0.0)
    }
}
