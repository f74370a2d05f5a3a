//! What can be wrong with a data set, said with the thing, the cause and the way out; recovers from nothing.

use std::path::{Path, PathBuf};

use crate::remote::RemoteError;

/// Why a split could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No data folder holds the data set, and no hub has it.
    #[error(
        "data set `{path}` not found{hint}; searched {searched}; name the folder that holds it with --data-dir{}",
        from_hub(hub.as_ref())
    )]
    DatasetNotFound {
        /// The `dataset_path` asked for.
        path: String,
        /// The folders looked for, joined for reading.
        searched: String,
        /// The nearest folder name, as a clause, or nothing.
        hint: String,
        /// What the hub said, if it was asked.
        #[source]
        hub: Option<RemoteError>,
    },
    /// The data set has no such config.
    #[error("data set `{path}` has no config {config}{hint}; {place} has {available}")]
    ConfigNotFound {
        /// The `dataset_path` asked for.
        path: String,
        /// The config asked for, in words.
        config: String,
        /// The data set's folder, or the hub.
        place: String,
        /// The configs there, joined for reading.
        available: String,
        /// The nearest config, as a clause, or nothing.
        hint: String,
    },
    /// The data set has no such split.
    #[error("data set `{path}` has no split `{split}`{hint}; {place} has {available}")]
    SplitNotFound {
        /// The `dataset_path` asked for.
        path: String,
        /// The split asked for.
        split: String,
        /// Where it was looked for.
        place: String,
        /// The splits there, joined for reading.
        available: String,
        /// The nearest split, as a clause, or nothing.
        hint: String,
    },
    /// A numbered shard of a split is not there.
    #[error("split `{split}` in {place} should have {expected} shards, found {found}")]
    ShardMissing {
        /// The split.
        split: String,
        /// Where its shards are.
        place: String,
        /// The number that the file names announce.
        expected: usize,
        /// The number of files.
        found: usize,
    },
    /// A file named in `data_files` is not there.
    #[error("data file `{file}` not found{hint}; searched {searched}")]
    FileNotFound {
        /// The file as written.
        file: String,
        /// The paths tried, joined for reading.
        searched: String,
        /// The nearest file, as a clause, or nothing.
        hint: String,
    },
    /// A split expression is none, or cannot be carried out.
    #[error("split `{expression}`: {reason}")]
    BadSplit {
        /// The expression as written, or the split that it is about.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The data set is a program.
    #[error(
        "data set `{path}` is made by the script {script}, and no script is run; convert it by \
         hand (datasets.load_dataset, then to_parquet) into a folder below --data-dir, or name a revision that holds \
         Parquet with dataset_kwargs: {{revision: refs/convert/parquet}}"
    )]
    Script {
        /// The `dataset_path` asked for.
        path: String,
        /// Name of the script.
        script: String,
    },
    /// The hub did not give a file.
    #[error("data set `{path}`: {source}")]
    Remote {
        /// The `dataset_path` asked for.
        path: String,
        /// What the hub said.
        source: RemoteError,
    },
    /// `data_files` and `dataset_path` do not fit together, or name what is not supported.
    #[error("data set `{path}`: {reason}")]
    BadReference {
        /// The `dataset_path` asked for.
        path: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A file's content is not what its name says.
    #[error("{}{}: {reason}", path.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where the format has lines.
        line: Option<u64>,
        /// What is wrong there.
        reason: String,
    },
}

impl DataError {
    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            line: None,
            reason: reason.into(),
        }
    }

    pub(crate) fn corrupt_line(path: &Path, line: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            line: Some(line),
            reason: reason.into(),
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

fn from_hub(error: Option<&RemoteError>) -> String {
    error.map_or_else(String::new, |error| format!("; the hub: {error}"))
}

/// Paths in commas.
pub(crate) fn paths(candidates: &[PathBuf]) -> String {
    let shown: Vec<String> = (candidates.iter())
        .map(|path| path.display().to_string())
        .collect();
    shown.join(", ")
}

/// Names in backquotes and commas; "nothing" for none.
pub(crate) fn listing<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() {
        "nothing".to_owned()
    } else {
        quoted.join(", ")
    }
}
