//! `data_files` of the builders: names, patterns and addresses, looked for in the folders of a task and of `--data-dir`.
//! Refuses patterns that mean no file.

use std::path::{Path, PathBuf};

use glob::Pattern;

use crate::DataError;
use crate::error::paths;
use crate::patterns::SHELL;

/// Whether a data file is an address.
pub(crate) fn is_url(name: &str) -> bool {
    name.contains("://")
}

/// The files that a name or pattern means, in the first of the folders that has any.
///
/// # Errors
/// Where no folder has one, and on patterns that are none.
pub(crate) fn expand(name: &str, folders: &[PathBuf]) -> Result<Vec<PathBuf>, DataError> {
    let candidates: Vec<PathBuf> = folders.iter().map(|folder| folder.join(name)).collect();
    if let Some(file) = candidates.iter().find(|file| file.is_file()) {
        return Ok(vec![file.clone()]);
    }
    if name.contains(['*', '?', '[']) {
        for folder in folders {
            let found = matching(name, folder)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    let hints = candidates
        .iter()
        .map(|candidate| harness_spelling::path_hint(candidate));
    Err(DataError::FileNotFound {
        file: name.to_owned(),
        searched: paths(&candidates),
        hint: hints
            .into_iter()
            .find(|hint| !hint.is_empty())
            .unwrap_or_default(),
    })
}

fn matching(pattern: &str, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let folder_text = Pattern::escape(&folder.to_string_lossy());
    let whole = if Path::new(pattern).is_absolute() || folder_text.is_empty() {
        pattern.to_owned()
    } else {
        format!("{folder_text}/{pattern}")
    };
    let found = glob::glob_with(&whole, SHELL).map_err(|error| DataError::BadReference {
        path: pattern.to_owned(),
        reason: format!("no pattern for files: {error}"),
    })?;
    let asks_for_hidden = pattern.split('/').any(|part| part.starts_with('.'));
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && (asks_for_hidden || !name.starts_with('.'))
    };
    Ok(found.flatten().filter(is_meant).collect())
}
