//! When a run is saved: its state about once a minute, so that it can be gone on with, and whole models at the steps that were asked for.
//! It refuses to spend more than a twentieth of the time on it, but for what was asked for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness_host::MethodDescription;

use super::job::{StepRecord, UnlearnJob};
use super::run_state::RunState;
use super::training::Unlearning;
use crate::error::{Result, io};

/// Time between two savings, and its least share of the time that one took.
const INTERVAL: Duration = Duration::from_mins(1);
const LEAST_TIMES: u32 = 20;
/// Where models of steps before the last go.
pub const CHECKPOINTS: &str = "checkpoints";

/// Where the model of a step before the last lies in a run's output directory, if it was saved.
pub fn checkpoint_path(output: &Path, step: usize) -> PathBuf {
    output.join(CHECKPOINTS).join(format!("step-{step}"))
}

/// A run's savings.
pub(super) struct Saving {
    /// Absent for a run that could not be gone on with.
    state: Option<RunState>,
    checkpoints: PathBuf,
    save_every: Option<usize>,
    last: Instant,
    took: Duration,
}

impl Saving {
    /// Of a run of `method`. What a method remembers itself is known to nobody else: its run begins anew when it is interrupted.
    pub(super) fn new(job: &UnlearnJob, method: &MethodDescription) -> Self {
        Self {
            state: (!method.keeps_state).then(|| RunState::of(&job.output)),
            checkpoints: job.output.join(CHECKPOINTS),
            save_every: job.training.save_every,
            last: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// Takes up a run that was interrupted; gives the steps that it had taken, none for a new run.
    pub(super) fn resume(&self, unlearning: &mut Unlearning) -> Result<Vec<StepRecord>> {
        let Some(state) = &self.state else {
            return Ok(Vec::new());
        };
        match state.progress()? {
            None => Ok(Vec::new()),
            Some(progress) => {
                unlearning.restore(state, &progress)?;
                Ok(progress.steps)
            }
        }
    }

    /// Saves what is to be saved after the last of `steps`.
    pub(super) fn after_step(
        &mut self,
        steps: &[StepRecord],
        unlearning: &Unlearning,
    ) -> Result<()> {
        let asked_for = self
            .save_every
            .is_some_and(|every| steps.len().is_multiple_of(every));
        if asked_for {
            self.write_checkpoint(steps.len(), unlearning)?;
        }
        let Some(state) = &self.state else {
            return Ok(());
        };
        let interval = INTERVAL.max(self.took * LEAST_TIMES);
        if asked_for || self.last.elapsed() >= interval {
            let start = Instant::now();
            unlearning.save(state, steps)?;
            self.took = start.elapsed();
            self.last = Instant::now();
        }
        Ok(())
    }

    fn write_checkpoint(&self, steps: usize, unlearning: &Unlearning) -> Result<()> {
        let path = self.checkpoints.join(format!("step-{steps}"));
        if path.exists() {
            // From before the interruption: the same bytes.
            return Ok(());
        }
        let staged = self.checkpoints.join(format!("step-{steps}.partial"));
        if staged.exists() {
            std::fs::remove_dir_all(&staged).map_err(io(&staged))?;
        }
        std::fs::create_dir_all(&staged).map_err(io(&staged))?;
        unlearning.trainee().write(&staged)?;
        std::fs::rename(&staged, &path).map_err(io(&path))
    }
}
