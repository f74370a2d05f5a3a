//! A run's directory: records that are written whole or not at all, and stages that are not repeated when they are done.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use harness_model::Staging;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{BenchError, Result, io};
use crate::stage_lock::{StageLock, StageLocks};

/// Has a line for every stage that was finished, in that order, with what it depended on: nothing stands there twice.
const STAGE_LOG: &str = "stages.log";
/// Says in a run's directory what kind of run owns it.
const CLAIM: &str = ".harness-run";

/// A directory that one run owns.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
    locks: StageLocks,
}

/// A stage's outcome on disk, with what it depended on.
#[derive(serde::Serialize, serde::Deserialize)]
struct StageRecord<T> {
    /// Hash of everything the outcome depends on.
    key: String,
    outcome: T,
}

impl RunDirectory {
    /// Opens or makes the directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(io(path))?;
        Ok(Self {
            path: path.to_owned(),
            locks: StageLocks::default(),
        })
    }

    /// Opens or makes a directory that this kind of run may change as it likes: a new or empty one, or one that a run of the
    /// same kind has claimed before.
    ///
    /// # Errors
    /// When it holds what is not this run's, or cannot be made.
    pub fn claim(path: &Path, kind: &str) -> Result<Self> {
        let run = Self::open(path)?;
        let claimed = std::fs::read_to_string(run.join(CLAIM)).is_ok_and(|owner| owner == kind);
        let mut entries = std::fs::read_dir(path).map_err(io(path))?;
        if !claimed && entries.next().is_some() {
            let message = format!(
                "{}: is not empty and no {kind} run made it; name another directory",
                path.display()
            );
            return Err(BenchError::Request(message));
        }
        write_atomically(&run.join(CLAIM), kind.as_bytes())?;
        Ok(run)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes room for a directory inside, with what an earlier run may have left of it: all of it is this run's own.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(crate) fn clear(&self, directory: &Path) -> Result<()> {
        self.remove(&Staging::path_of(directory))?;
        self.remove(directory)
    }

    /// Removes a directory inside, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&self, directory: &Path) -> Result<()> {
        if directory.starts_with(&self.path) && directory.exists() {
            std::fs::remove_dir_all(directory).map_err(io(directory))?;
        }
        Ok(())
    }

    /// Waits until no other thread is at work on the stage.
    pub(crate) fn alone(&self, stage: &str) -> StageLock {
        self.locks.lock(stage)
    }

    /// The recorded outcome of a stage, if it is there and came of the same `inputs`.
    pub fn finished<T: DeserializeOwned>(&self, stage: &str, inputs: &impl Serialize) -> Option<T> {
        let text = std::fs::read(self.record(stage)).ok()?;
        let record: StageRecord<T> = serde_json::from_slice(&text).ok()?;
        (record.key == key(inputs).ok()?).then_some(record.outcome)
    }

    /// Records a stage's outcome.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn finish<T: Serialize>(
        &self,
        stage: &str,
        inputs: &impl Serialize,
        outcome: &T,
    ) -> Result<()> {
        let key = key(inputs).map_err(|error| BenchError::BadRecord {
            path: self.record(stage),
            problem: error.to_string(),
        })?;
        let line = format!("{stage} {key}\n");
        self.write_json(
            &format!("stages/{stage}.json"),
            &StageRecord { key, outcome },
        )?;
        let log = self.join(STAGE_LOG);
        let opened = File::options().create(true).append(true).open(&log);
        let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(io(&log))
    }

    fn record(&self, stage: &str) -> PathBuf {
        self.path.join("stages").join(stage).with_extension("json")
    }

    /// Writes a file whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<()> {
        write_atomically(&self.join(name), contents)
    }

    /// Writes a file of JSON whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        write_json(&self.join(name), value)
    }
}

/// Writes a file of JSON whole or not at all.
pub(crate) fn write_json(file: &Path, value: &impl Serialize) -> Result<()> {
    let problem = |error: serde_json::Error| BenchError::BadRecord {
        path: file.to_owned(),
        problem: error.to_string(),
    };
    let mut text = serde_json::to_string_pretty(value).map_err(problem)?;
    text.push('\n');
    write_atomically(file, text.as_bytes())
}

/// Writes beside the file and renames, so that a reader sees the old contents or the new, never a part.
pub(crate) fn write_atomically(file: &Path, contents: &[u8]) -> Result<()> {
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent).map_err(io(parent))?;
    }
    let mut staged = file.as_os_str().to_owned();
    staged.push(".partial");
    let staged = PathBuf::from(staged);
    std::fs::write(&staged, contents).map_err(io(&staged))?;
    std::fs::rename(&staged, file).map_err(io(file))
}

/// A hash of a value's JSON.
fn key(inputs: &impl Serialize) -> serde_json::Result<String> {
    Ok(sha256_hex(&serde_json::to_vec(inputs)?))
}

/// SHA-256 in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
