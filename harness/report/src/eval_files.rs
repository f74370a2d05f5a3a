//! Where an evaluation's files go: `OUT/<model>/results_<time>.json` and `samples_<task>_<time>.jsonl`, as lm-eval lays them out.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::eval_results::{EvalRun, results_json, sanitized_name};
use crate::samples::samples_jsonl;

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

/// The files of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalFiles {
    /// The results.
    pub results: PathBuf,
    /// The samples, one file a task.
    pub samples: Vec<PathBuf>,
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

/// Writes results and, if asked for, samples. `output` is a folder, or a file ending in `.json` whose name gets the time
/// appended; samples lie beside the results.
///
/// # Errors
/// When a file cannot be written.
pub fn write_eval_files(
    run: &EvalRun,
    output: &Path,
    log_samples: bool,
) -> Result<EvalFiles, ReportError> {
    let time = file_time(run.started_unix_seconds + run.seconds);
    let results = if is_file_name(output) {
        let stem = output.file_stem().unwrap_or_default().to_string_lossy();
        output.with_file_name(format!("{stem}_{time}.json"))
    } else {
        let folder = output.join(sanitized_name(&run.model));
        folder.join(format!("results_{time}.json"))
    };
    let mut files = EvalFiles {
        results,
        samples: Vec::new(),
    };
    for task in run.tasks.iter().filter(|_| log_samples) {
        let file = files
            .results
            .with_file_name(format!("samples_{}_{time}.jsonl", task.spec.task));
        write_whole(&file, &samples_jsonl(&task.evaluation.samples))?;
        files.samples.push(file);
    }
    write_whole(&files.results, &format!("{:#}\n", results_json(run)))?;
    Ok(files)
}

/// Writes beside the file and renames, so that nobody reads half a file.
fn write_whole(file: &Path, text: &str) -> Result<(), ReportError> {
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
    std::fs::write(&staged, text).map_err(at(&staged))?;
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
