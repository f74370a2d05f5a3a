//! From the YAML files below a folder to names: in parallel, and through the cache where one is given. A broken file
//! breaks nothing but itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::cache::{Cache, CachedFile, Stamp};
use super::definition::{Definition, definition};
use super::{BrokenFile, Duplicate, Entry, TaskLibrary};
use crate::TaskError;
use crate::yaml::Loader;

impl TaskLibrary {
    /// `cache`: the folder of cache files, if there shall be one.
    pub(super) fn index_root(
        &mut self,
        root: &Path,
        cache: Option<&Path>,
    ) -> Result<(), TaskError> {
        let mut files = Vec::new();
        collect_yaml_files(root, &mut files)?;
        // As text, as upstream: `a-b/x` comes before `a/x`.
        files.sort_by(|(one, _), (other, _)| one.as_os_str().cmp(other.as_os_str()));
        let mut cache = Cache::open(cache, root, files.len());
        let loader = Loader::default();
        let read: Vec<Result<CachedFile, TaskError>> = files
            .par_iter()
            .map(|(path, stamp)| match cache.find(path, stamp.as_ref()) {
                Some(known) => Ok(known.clone()),
                None => read(path, stamp.clone(), &loader),
            })
            .collect();
        cache.update(&files, &read);
        let mut own = BTreeMap::new();
        for ((path, _), result) in files.into_iter().zip(read) {
            match result {
                Ok(file) => self.duplicates.extend(add(&mut own, file.definition, path)),
                Err(error) => self.broken.push(BrokenFile {
                    names: apparent_names(&path),
                    path,
                    error: Arc::new(error),
                }),
            }
        }
        self.entries.extend(own);
        Ok(())
    }
}

/// Adds what one file defines to the names of its root: the first definition of a name stays, the second is given back. A
/// tag gives way to a task or group of its name.
fn add(
    entries: &mut BTreeMap<String, Entry>,
    definition: Definition,
    path: PathBuf,
) -> Option<Duplicate> {
    let (name, entry, tags) = match definition {
        Definition::Nothing => return None,
        Definition::Group { name } => (name, Entry::Group(path.clone()), Vec::new()),
        Definition::Task { name, tags } => (name, Entry::Task(path.clone()), tags),
    };
    if let Some(Entry::Group(first) | Entry::Task(first)) = entries.get(&name) {
        return Some(Duplicate {
            name,
            used: first.clone(),
            passed_over: path,
        });
    }
    for tag in tags {
        let tagged = entries
            .entry(tag)
            .or_insert_with(|| Entry::Tag(BTreeSet::new()));
        if let Entry::Tag(tasks) = tagged {
            tasks.insert(name.clone());
        }
    }
    entries.insert(name, entry);
    None
}

fn read(path: &Path, stamp: Option<Stamp>, loader: &Loader) -> Result<CachedFile, TaskError> {
    let loaded = loader.load(path)?;
    Ok(CachedFile {
        stamp,
        definition: definition(&loaded.mapping)?,
        included: loaded.included,
    })
}

fn collect_yaml_files(
    folder: &Path,
    files: &mut Vec<(PathBuf, Option<Stamp>)>,
) -> Result<(), TaskError> {
    let failed = |source| TaskError::Io {
        path: folder.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        // Links to folders are not followed, so there are no endless ones.
        if entry.file_type().map_err(failed)?.is_dir() {
            if name != "__pycache__" && name != ".ipynb_checkpoints" {
                collect_yaml_files(&path, files)?;
            }
        } else if has_yaml_name(&path) {
            let stamp = Stamp::of(&path);
            files.push((path, stamp));
        }
    }
    Ok(())
}

/// Whether the index looks into the file: templates with other names are for `include` only.
pub(super) fn has_yaml_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml")
}

/// Names that a file which cannot be parsed seems to define, so that asking for one shows what is wrong with it.
fn apparent_names(path: &Path) -> Vec<String> {
    let text = std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let written = text.lines().filter_map(|line| {
        line.strip_prefix("task:")
            .or_else(|| line.strip_prefix("group:"))
    });
    let written = written.map(|name| name.trim().trim_matches(['"', '\'']).to_owned());
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    written
        .chain(stem)
        .filter(|name| !name.is_empty())
        .collect()
}
