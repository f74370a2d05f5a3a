//! The state of a run in its staging directory, from which an interrupted run goes on to the same bytes as one that was not. Files
//! appear whole or not at all; it refuses the state of another request.

use std::path::{Path, PathBuf};

use harness_model::train::{Optimizer, read_training_state, write_training_state};
use serde::{Deserialize, Serialize};

use super::answer_memory::KnownAnswer;
use super::job::StepRecord;
use crate::error::{BenchError, Result, io};
use crate::run_directory::write_json;

/// The state's folder in the staging directory.
const FOLDER: &str = "state";
/// What was asked for, written by the parent before the first step.
const REQUEST: &str = "request.json";
/// How far the run has come, written by the child; it names the file of tensors that belongs to it.
const PROGRESS: &str = "progress.json";

/// Where the state of a run lies.
#[derive(Clone, Debug)]
pub(super) struct RunState {
    folder: PathBuf,
}

/// What a run is besides its variables and what their optimiser keeps. Orders and random numbers follow from the request and the number
/// of steps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The steps that were taken.
    pub(super) steps: Vec<StepRecord>,
    /// What the frozen original has said.
    pub(super) known_answers: Vec<KnownAnswer>,
}

#[derive(Serialize, Deserialize)]
struct Request {
    /// Hash of everything that the result depends on.
    sha256: String,
}

impl RunState {
    /// Of the run whose staging directory this is.
    pub(super) fn of(staging: &Path) -> Self {
        Self {
            folder: staging.join(FOLDER),
        }
    }

    /// Says what the run is asked for.
    pub(super) fn claim(&self, sha256: &str) -> Result<()> {
        let sha256 = sha256.to_owned();
        write_json(&self.folder.join(REQUEST), &Request { sha256 })
    }

    /// Whether the run was asked for the same.
    pub(super) fn belongs_to(&self, sha256: &str) -> bool {
        let text = std::fs::read(self.folder.join(REQUEST)).ok();
        let request = text.and_then(|text| serde_json::from_slice::<Request>(&text).ok());
        request.is_some_and(|request| request.sha256 == sha256)
    }

    /// How far the run has come; `None` before its state was first saved.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn progress(&self) -> Result<Option<Progress>> {
        let path = self.folder.join(PROGRESS);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&path)(error)),
        };
        let progress = serde_json::from_slice(&text);
        progress.map(Some).map_err(|error| BenchError::BadRecord {
            path,
            problem: format!("{error}; remove the directory to start anew"),
        })
    }

    /// Saves a run after the steps of `progress`, in place of what was saved before.
    ///
    /// # Errors
    /// When a file cannot be written; what was saved before is still there then.
    pub(super) fn save(&self, progress: &Progress, optimizer: &dyn Optimizer) -> Result<()> {
        let tensors = self.tensors(progress.steps.len());
        let mut staged = tensors.as_os_str().to_owned();
        staged.push(".partial");
        std::fs::create_dir_all(&self.folder).map_err(io(&self.folder))?;
        write_training_state(Path::new(&staged), optimizer)?;
        std::fs::rename(&staged, &tensors).map_err(io(&tensors))?;
        write_json(&self.folder.join(PROGRESS), progress)?;
        // Those of before, and of a saving that was interrupted.
        let entries = std::fs::read_dir(&self.folder).map_err(io(&self.folder))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let kept = [REQUEST, PROGRESS].map(|name| self.folder.join(name));
            if path != tensors && !kept.contains(&path) {
                std::fs::remove_file(&path).map_err(io(&path))?;
            }
        }
        Ok(())
    }

    /// Puts variables and optimiser where they were after the steps of `progress`.
    pub(super) fn restore(&self, progress: &Progress, optimizer: &mut dyn Optimizer) -> Result<()> {
        let steps = progress.steps.len();
        Ok(read_training_state(&self.tensors(steps), optimizer, steps)?)
    }

    /// Removes it: the run is whole.
    pub(super) fn remove(&self) {
        // What is left of it is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    fn tensors(&self, steps: usize) -> PathBuf {
        self.folder.join(format!("step-{steps}.safetensors"))
    }
}
