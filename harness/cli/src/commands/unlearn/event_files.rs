//! TensorBoard's event files of a run, written as its steps come. A file that cannot be written is told of once, and the run goes on.

use std::path::{Path, PathBuf};

use harness_bench::unlearn::StepRecord;
use harness_model::Staging;
use harness_report::EventFile;

/// Writes a run's steps, where that is asked for.
pub(super) struct EventFiles {
    directory: Option<PathBuf>,
    file: Option<EventFile>,
}

impl EventFiles {
    /// `asked`: not at all, without a folder (then it is inside `output`), or with one (then it is a folder in there).
    pub(super) fn new(asked: Option<&Option<PathBuf>>, output: &Path) -> Self {
        let directory = asked.map(|folder| match folder {
            Some(folder) => folder.join(output.file_name().unwrap_or_default()),
            None => Staging::path_of(output).join("tensorboard"),
        });
        Self {
            directory,
            file: None,
        }
    }

    /// Adds a step; says what went wrong.
    pub(super) fn add(&mut self, step: &StepRecord) -> Option<String> {
        let directory = self.directory.as_ref()?;
        let file = match self.file.take() {
            Some(file) => Ok(file),
            None => EventFile::create(directory),
        };
        let added = file.and_then(|mut file| file.add(step).map(|()| file));
        match added {
            Ok(file) => {
                self.file = Some(file);
                None
            }
            Err(error) => {
                let directory = directory.display();
                let message =
                    format!("--tensorboard: {directory}: {error}; no further steps there");
                self.directory = None;
                Some(message)
            }
        }
    }
}
