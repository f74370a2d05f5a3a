//! Finds a data set below the data folders and reads one split of it; refuses to guess between configs.

use std::path::{Path, PathBuf};

use crate::error::listing;
use crate::layout::{Folder, read_files};
use crate::{DataError, DataFiles, DatasetRef, Split};

/// Names of `dataset_path` that mean "read these files", as in Hugging Face's library.
const BUILDERS: [&str; 3] = ["json", "csv", "parquet"];

/// Where data sets are looked for.
#[derive(Clone, Debug, Default)]
pub struct DataSource {
    data_dirs: Vec<PathBuf>,
}

impl DataSource {
    /// A source over the folders of `--data-dir`; earlier ones win.
    pub fn new(data_dirs: Vec<PathBuf>) -> Self {
        Self { data_dirs }
    }

    /// Reads one split of a data set.
    ///
    /// # Errors
    /// Where data set, config, split or a file is not there, and where a file is not what its name says.
    pub fn load(&self, dataset: &DatasetRef, split: &str) -> Result<Split, DataError> {
        if BUILDERS.contains(&dataset.path.as_str()) {
            let files = self.builder_files(dataset, split)?;
            return read_files(&files);
        }
        if dataset.data_files.is_some() {
            return Err(bad_reference(
                dataset,
                format!(
                    "data_files is only read with the builders {}",
                    listing(BUILDERS)
                ),
            ));
        }
        let root = self.dataset_folder(dataset)?;
        let place = Folder::of_config(&dataset.path, &root, dataset.name.as_deref())?;
        read_files(&place.split_files(&dataset.path, split)?)
    }

    fn dataset_folder(&self, dataset: &DatasetRef) -> Result<PathBuf, DataError> {
        let candidates = self.dataset_candidates(dataset);
        if let Some(found) = candidates.iter().find(|folder| folder.is_dir()) {
            return Ok(found.clone());
        }
        let known = self.data_set_names();
        Err(DataError::DatasetNotFound {
            path: dataset.path.clone(),
            searched: paths(&candidates),
            hint: harness_spelling::hint(&dataset.path, known.iter().map(String::as_str)),
        })
    }

    /// A folder beside the YAML first, then the three ways in which a hub name can be laid out.
    fn dataset_candidates(&self, dataset: &DatasetRef) -> Vec<PathBuf> {
        let base_name = dataset.path.rsplit('/').next().unwrap_or(&dataset.path);
        let below_data = self.data_dirs.iter().flat_map(|folder| {
            [
                dataset.path.replace('/', "__"),
                dataset.path.clone(),
                base_name.to_owned(),
            ]
            .map(|name| folder.join(name))
        });
        let mut candidates = vec![dataset.base_dir.join(&dataset.path)];
        for candidate in below_data {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// Names of the folders that could be data sets, in the hub's spelling.
    fn data_set_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for top in self.data_dirs.iter().flat_map(|folder| subfolders(folder)) {
            names.push(file_name(&top).replacen("__", "/", 1));
            names.extend(
                subfolders(&top)
                    .iter()
                    .map(|inner| format!("{}/{}", file_name(&top), file_name(inner))),
            );
        }
        names
    }

    fn builder_files(&self, dataset: &DatasetRef, split: &str) -> Result<Vec<PathBuf>, DataError> {
        let splits = match &dataset.data_files {
            Some(DataFiles::Train(names)) => vec![("train", names)],
            Some(DataFiles::BySplit(splits)) => splits
                .iter()
                .map(|(name, names)| (name.as_str(), names))
                .collect(),
            None => {
                let reason = "the builder needs `dataset_kwargs: {data_files: …}`".to_owned();
                return Err(bad_reference(dataset, reason));
            }
        };
        let Some((_, names)) = splits.iter().find(|(name, _)| *name == split) else {
            let known: Vec<&str> = splits.iter().map(|(name, _)| *name).collect();
            return Err(builder_split_missing(dataset, split, &known));
        };
        names
            .iter()
            .map(|name| self.builder_file(dataset, name))
            .collect()
    }

    fn builder_file(&self, dataset: &DatasetRef, name: &str) -> Result<PathBuf, DataError> {
        if name.contains("://") {
            return Err(bad_reference(
                dataset,
                format!("data file `{name}` is a URL; only local files are read"),
            ));
        }
        let folders = std::iter::once(&dataset.base_dir).chain(&self.data_dirs);
        let candidates: Vec<PathBuf> = folders.map(|folder| folder.join(name)).collect();
        match candidates.iter().find(|file| file.is_file()) {
            Some(file) => Ok(file.clone()),
            None => Err(DataError::FileNotFound {
                file: name.to_owned(),
                searched: paths(&candidates),
            }),
        }
    }
}

fn bad_reference(dataset: &DatasetRef, reason: String) -> DataError {
    DataError::BadReference {
        path: dataset.path.clone(),
        reason,
    }
}

fn builder_split_missing(dataset: &DatasetRef, split: &str, known: &[&str]) -> DataError {
    DataError::SplitNotFound {
        path: dataset.path.clone(),
        split: split.to_owned(),
        place: "data_files".to_owned(),
        available: listing(known.iter().copied()),
        hint: harness_spelling::hint(split, known.iter().copied()),
    }
}

/// Folders directly inside `folder`, sorted; none if it cannot be read, as this only feeds hints.
pub(crate) fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn paths(candidates: &[PathBuf]) -> String {
    candidates
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
