//! The Python files that the process runs, put into a folder that goes with it. Refuses to touch any other folder.

use std::fs;
use std::io;

use tempfile::TempDir;

/// The file to run.
pub(crate) const DRIVER: &str = "driver.py";

macro_rules! python_files {
    ($($path:literal),* $(,)?) => { [$(($path, include_str!($path))),*] };
}

static FILES: [(&str, &str); 12] = python_files![
    "driver.py",
    "stand_ins/datasets.py",
    "stand_ins/lm_eval/__init__.py",
    "stand_ins/lm_eval/api/__init__.py",
    "stand_ins/lm_eval/api/filter.py",
    "stand_ins/lm_eval/api/instance.py",
    "stand_ins/lm_eval/api/metrics.py",
    "stand_ins/lm_eval/api/registry.py",
    "stand_ins/lm_eval/filters/__init__.py",
    "stand_ins/lm_eval/filters/extraction.py",
    "stand_ins/lm_eval/tasks/__init__.py",
    "stand_ins/lm_eval/utils.py",
];

/// Writes driver and stand-ins into a new folder, which is removed when the value is dropped.
pub(crate) fn write() -> io::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("harness-python-")
        .tempdir()?;
    for (path, text) in &FILES {
        let path = folder.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(folder)
}
