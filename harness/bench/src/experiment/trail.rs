//! The way of a method through forgetting and utility: models of steps before the last, measured on the forget set and the utility
//! tasks alone. Attacks none of them, and keeps their weights only where that is asked for.

use std::path::Path;

use candle_core::Device;
use harness_engine::Scorer;
use harness_metric::Bootstrap;
use harness_model::Model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::knowledge::knowledge;
use super::record::{DocumentScores, Scores, Subject, UtilityScores};
use super::run::Experiment;
use super::spec::UnlearnSpec;
use super::standing::{Anchors, HEADLINE};
use super::utility::utility;
use crate::error::Result;
use crate::event::{Event, Observer};
use crate::unlearn::{TrainingOptions, checkpoint_path};

/// Raised whenever trails of older versions must not be taken over.
const VERSION: u32 = 1;

/// What a run had come to after some of its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrailPoint {
    /// Steps taken.
    pub step: usize,
    /// The forget set.
    pub forget: DocumentScores,
    /// The utility tasks.
    pub utility: Vec<UtilityScores>,
}

/// Where a row was after some of its steps: means over its runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrailStep {
    /// Steps taken.
    pub step: usize,
    /// F.
    pub forgetting: f64,
    /// U; absent where no utility task tells anything.
    pub utility: Option<f64>,
}

/// What a trail depends on: the run that it is the trail of, and what is asked.
#[derive(Serialize)]
struct Inputs<'a> {
    version: u32,
    run: &'a str,
    steps: &'a [usize],
    questions: String,
}

impl UnlearnSpec {
    /// Steps between checkpoints, so that there are as many as are asked for, or the most there can be; `None`: there are none.
    pub(super) fn checkpoint_every(&self, steps: usize) -> Option<usize> {
        let every = steps.div_ceil(self.checkpoints + 1);
        (self.checkpoints > 0 && every < steps).then_some(every)
    }
}

/// The steps after which a run keeps its weights. The last step's model is the run's own.
pub(super) fn checkpoint_steps(training: &TrainingOptions) -> Vec<usize> {
    let steps = |every: usize| (every..training.steps).step_by(every).collect();
    training.save_every.map_or_else(Vec::new, steps)
}

/// Whether these checkpoints are there.
pub(super) fn has_checkpoints(directory: &Path, wanted: &[usize]) -> bool {
    let mut wanted = wanted.iter();
    wanted.all(|&step| checkpoint_path(directory, step).is_dir())
}

impl Experiment<'_> {
    /// The trail of the run with this identity, if it is measured; an empty one where none is asked for.
    pub(super) fn found_trail(
        &self,
        name: &str,
        identity: &str,
        wanted: &[usize],
    ) -> Result<Option<Vec<TrailPoint>>> {
        if wanted.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let inputs = self.trail_inputs(identity, wanted)?;
        Ok(self.run.finished(&format!("trail-{name}"), &inputs))
    }

    /// Measures the checkpoints of a run, which its model's directory has. A run that ended early has fewer.
    pub(super) fn measured_trail(
        &self,
        name: &str,
        identity: &str,
        directory: &Path,
        wanted: &[usize],
        observer: &mut Observer,
    ) -> Result<Vec<TrailPoint>> {
        if let Some(found) = self.found_trail(name, identity, wanted)? {
            return Ok(found);
        }
        observer(Event::StageStarted {
            name: format!("trail of {name}"),
            total: Some(wanted.len()),
            unit: "models",
        });
        let mut points: Vec<TrailPoint> = Vec::new();
        for &step in wanted {
            let checkpoint = checkpoint_path(directory, step);
            if checkpoint.is_dir() {
                points.push(self.trail_point(step, &checkpoint)?);
            }
            observer(Event::StageAdvanced {
                done: points.len(),
                work_done: None,
                remark: format!("step {step}"),
            });
        }
        let inputs = self.trail_inputs(identity, wanted)?;
        self.run
            .finish(&format!("trail-{name}"), &inputs, &points)?;
        observer(Event::StageFinished {
            remark: format!("{} checkpoints", points.len()),
        });
        Ok(points)
    }

    fn trail_inputs<'a>(&self, run: &'a str, steps: &'a [usize]) -> Result<Inputs<'a>> {
        Ok(Inputs {
            version: VERSION,
            run,
            steps,
            questions: self.questions()?,
        })
    }

    fn trail_point(&self, step: usize, checkpoint: &Path) -> Result<TrailPoint> {
        let materials = self.materials;
        let model = Model::open(checkpoint, &Device::Cpu)?;
        let mut scorer = Scorer::new(model.decoder()?, model.tokenizer);
        let mut score = |(name, tasks): &(String, Vec<_>)| {
            utility(name, tasks, &mut scorer, &materials.utility_options)
        };
        Ok(TrailPoint {
            step,
            utility: (materials.utility.iter().map(&mut score)).collect::<Result<_>>()?,
            forget: knowledge(&self.spec.forget, &materials.forget, &mut scorer)?,
        })
    }
}

impl TrailPoint {
    /// As if nothing else had been measured.
    fn scores(&self) -> Scores {
        Scores {
            forget: self.forget.clone(),
            utility: self.utility.clone(),
            ..Scores::default()
        }
    }
}

/// Where the runs of a row were at each checkpoint that all of them have, in the same proportion to the anchors as the row itself.
pub(super) fn trail_steps(
    runs: &[&Subject],
    anchors: &Anchors<'_>,
    bootstrap: Bootstrap,
) -> Result<Vec<TrailStep>> {
    let mut steps = Vec::new();
    for point in runs.first().map_or(&[][..], |run| &run.trail) {
        let at_step = |other: &&TrailPoint| other.step == point.step;
        let points: Option<Vec<&TrailPoint>> = runs
            .iter()
            .map(|run| run.trail.iter().find(at_step))
            .collect();
        let Some(points) = points else { continue };
        let scores: Vec<Scores> = points.into_iter().map(TrailPoint::scores).collect();
        let standing = anchors.standing(&scores.iter().collect::<Vec<_>>(), bootstrap)?;
        let forgetting = standing.forgetting.get(HEADLINE);
        steps.extend(forgetting.map(|forgetting| TrailStep {
            step: point.step,
            forgetting: forgetting.value,
            utility: standing.utility.as_ref().map(|figure| figure.value),
        }));
    }
    Ok(steps)
}
