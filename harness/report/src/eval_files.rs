//! Where an evaluation's files go: `OUT/<model>/results_<time>.json` and `samples_<task>_<time>.jsonl` (or `.parquet`), as lm-eval
//! lays them out. Refuses to leave half a file.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::eval_results::{EvalRun, ScoredTask, results_json, sanitized_name};
use crate::samples::samples_jsonl;
use crate::samples_parquet::samples_parquet;

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

/// The files of one run, by the time at which it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalFiles {
    /// The results.
    pub results: PathBuf,
    time: String,
}

/// In what form samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplesFormat {
    /// lm-eval's lines of JSON.
    Jsonl,
    /// A table with a typed column for each part of a sample.
    Parquet,
    /// Both files.
    Both,
}

/// Makes the folder that the files of a run go to, so that a name that cannot be used is found before the work.
///
/// # Errors
/// When it cannot be made.
pub fn prepare_output(output: &Path) -> Result<(), ReportError> {
    let folder = if is_file_name(output) {
        output
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
    } else {
        Some(output)
    };
    let Some(folder) = folder else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|source| ReportError {
        path: folder.to_owned(),
        source,
    })
}

fn is_file_name(output: &Path) -> bool {
    output
        .extension()
        .is_some_and(|extension| extension == "json")
}

impl EvalFiles {
    /// Names the files. `output` is a folder, or a file ending in `.json` whose name gets the time appended; samples lie
    /// beside the results.
    pub fn new(output: &Path, run: &EvalRun) -> Self {
        let time = file_time(run.started_unix_seconds);
        let results = if is_file_name(output) {
            let stem = output.file_stem().unwrap_or_default().to_string_lossy();
            output.with_file_name(format!("{stem}_{time}.json"))
        } else {
            let folder = output.join(sanitized_name(&run.model));
            folder.join(format!("results_{time}.json"))
        };
        Self { results, time }
    }

    /// Writes the results so far, over those of before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_results(&self, run: &EvalRun) -> Result<(), ReportError> {
        write_whole(
            &self.results,
            format!("{:#}\n", results_json(run)).as_bytes(),
        )
    }

    /// Writes a task's samples.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_samples(
        &self,
        task: &ScoredTask,
        format: SamplesFormat,
    ) -> Result<(), ReportError> {
        let samples = &task.evaluation.samples;
        let file = |ending: &str| {
            let name = format!("samples_{}_{}.{ending}", task.spec.task, self.time);
            self.results.with_file_name(name)
        };
        if format != SamplesFormat::Parquet {
            write_whole(&file("jsonl"), samples_jsonl(samples).as_bytes())?;
        }
        if format != SamplesFormat::Jsonl {
            let path = file("parquet");
            let table = samples_parquet(samples).map_err(|error| ReportError {
                path: path.clone(),
                source: std::io::Error::other(error),
            })?;
            write_whole(&path, &table)?;
        }
        Ok(())
    }
}

/// Writes beside the file and renames, so that nobody reads half a file.
fn write_whole(file: &Path, contents: &[u8]) -> Result<(), ReportError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError { path, source }
    };
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent).map_err(at(parent))?;
    }
    let mut staged = file.as_os_str().to_owned();
    staged.push(".partial");
    let staged = PathBuf::from(staged);
    std::fs::write(&staged, contents).map_err(at(&staged))?;
    std::fs::rename(&staged, file).map_err(at(file))
}

/// UTC with microseconds, in characters that every file system takes: `2024-05-06T07-08-09.123456`.
fn file_time(unix_seconds: f64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs_f64(unix_seconds.max(0.0));
    let text = humantime::format_rfc3339_micros(time).to_string();
    text.trim_end_matches('Z').replace(':', "-")
}

#[cfg(test)]
mod tests {
    use super::file_time;

    #[test]
    fn times_are_file_names() {
        assert_eq!(file_time(1_714_979_289.5), "2024-05-06T07-08-09.500000");
    }
}
