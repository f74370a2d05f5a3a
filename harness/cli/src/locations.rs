//! Where tasks and method libraries are: named folders first, then the environment, then beside the binary.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::exit::Refused;
use crate::options::require_folders;

/// Folder list in the environment, separated as `PATH` is.
const TASKS_VARIABLE: &str = "HARNESS_TASKS";
/// Folder list in the environment, separated as `PATH` is.
const METHODS_VARIABLE: &str = "HARNESS_METHODS";

/// Folders with task YAMLs. Later ones win over earlier ones of the same name, so the user's own come last.
pub(crate) fn task_folders(named: &[PathBuf]) -> Vec<PathBuf> {
    let mut folders = existing(beside_binary(&[
        "tasks",
        "../share/harness/tasks",
        "../../tasks",
    ]));
    folders.truncate(1);
    folders.extend(from_environment(TASKS_VARIABLE));
    folders.extend(named.iter().cloned());
    folders
}

/// Folders with method libraries, the user's own first.
///
/// # Errors
/// When a folder named on the command line is none.
pub(crate) fn method_folders(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    require_folders("--method-path", named)?;
    let mut folders = named.to_vec();
    folders.extend(from_environment(METHODS_VARIABLE));
    folders.extend(existing(beside_binary(&[
        "methods",
        "../lib/harness/methods",
        ".",
    ])));
    Ok(folders)
}

/// Where indexes of large task folders are kept between runs.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("harness"))
}

fn from_environment(variable: &str) -> Vec<PathBuf> {
    std::env::var_os(variable)
        .map(|list| std::env::split_paths(&list).collect())
        .unwrap_or_default()
}

fn beside_binary(relative: &[&str]) -> Vec<PathBuf> {
    let binary = std::env::current_exe()
        .and_then(std::fs::canonicalize)
        .unwrap_or_default();
    let folder = binary.parent().unwrap_or(Path::new("")).to_owned();
    relative
        .iter()
        .map(|relative| resolve(&folder, relative))
        .collect()
}

/// `..` and `.` taken out, for messages that people read.
fn resolve(folder: &Path, relative: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for part in relative.split('/') {
        match part {
            ".." => drop(path.pop()),
            "." => {}
            part => path.push(part),
        }
    }
    path
}

fn existing(folders: Vec<PathBuf>) -> Vec<PathBuf> {
    folders
        .into_iter()
        .filter(|folder| folder.is_dir())
        .collect()
}

/// The error of an empty list: says where was looked.
pub(crate) fn nothing_in(kind: &str, folders: &[PathBuf]) -> anyhow::Error {
    let names: Vec<String> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    let searched = if names.is_empty() {
        "there is no folder to look in".to_owned()
    } else {
        format!("looked in {}", names.join(", "))
    };
    Refused(format!("no {kind} found: {searched}")).into()
}
