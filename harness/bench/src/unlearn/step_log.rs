//! `unlearn.jsonl`: the steps of a run, a line each, written as they are taken. It refuses half a line: where one cannot be
//! written whole, the log ends before it.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::job::StepRecord;
use crate::error::{BenchError, Result, io};

/// The log's name in the output directory.
const LOG: &str = "unlearn.jsonl";

/// The steps of a finished run.
///
/// # Errors
/// When its log cannot be read.
pub fn read_steps(directory: &Path) -> Result<Vec<StepRecord>> {
    let path = directory.join(LOG);
    let text = std::fs::read_to_string(&path).map_err(io(&path))?;
    let step = |line: &str| {
        serde_json::from_str(line).map_err(|error| BenchError::BadRecord {
            path: path.clone(),
            problem: error.to_string(),
        })
    };
    text.lines().map(step).collect()
}

/// The log of a run that goes on.
pub(super) struct StepLog {
    path: PathBuf,
    file: File,
    bytes: u64,
    steps: Vec<StepRecord>,
}

impl StepLog {
    /// The log in `directory` with the steps that a run had taken, in place of whatever it holds; nobody else can open it meanwhile.
    ///
    /// # Errors
    /// When another run holds it, or it cannot be written.
    pub(super) fn open(directory: &Path, steps: &[StepRecord]) -> Result<Self> {
        let path = directory.join(LOG);
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let folder = directory.display();
                let message = format!("{folder}: another run is writing it");
                return Err(BenchError::Request(message));
            }
            Err(TryLockError::Error(error)) => return Err(io(&path)(error)),
        }
        file.set_len(0).map_err(io(&path))?;
        let mut log = Self {
            path,
            file,
            bytes: 0,
            steps: Vec::new(),
        };
        for step in steps {
            log.add(step)?;
        }
        Ok(log)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The steps so far.
    pub(super) fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// Adds a step.
    ///
    /// # Errors
    /// When its line cannot be written.
    pub(super) fn add(&mut self, step: &StepRecord) -> Result<()> {
        let line = format!("{}\n", serde_json::json!(step));
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // A full disk takes a part of a line; shortening a file needs no room.
            let _ = self.file.set_len(self.bytes);
            return Err(io(&self.path)(error));
        }
        self.bytes += line.len() as u64;
        self.steps.push(step.clone());
        Ok(())
    }
}
