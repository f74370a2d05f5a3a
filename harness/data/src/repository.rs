//! A data set's files by name, whether they lie in a local folder or at a hub. Reads no rows, and fetches nothing before
//! it is asked for.

use std::path::{Path, PathBuf};

use crate::card::{CARD, CardConfig, configs};
use crate::remote::{Listing, Remote};
use crate::tables::ending;
use crate::{DataError, file_text};

/// Folders are looked through this deep.
const MAX_DEPTH: usize = 8;

/// A data set, as names of files.
pub(crate) struct Repository<'a> {
    /// The `dataset_path` asked for, which errors name.
    pub(crate) dataset: &'a str,
    /// Names of all files.
    pub(crate) files: Vec<String>,
    place: Place<'a>,
}

enum Place<'a> {
    Folder(PathBuf),
    Hub {
        remote: &'a dyn Remote,
        listing: Listing,
    },
}

impl<'a> Repository<'a> {
    /// The files below a folder.
    pub(crate) fn local(dataset: &'a str, folder: &Path) -> Result<Self, DataError> {
        let mut files = Vec::new();
        walk(folder, "", 0, &mut files)?;
        files.sort();
        Ok(Self {
            dataset,
            files,
            place: Place::Folder(folder.to_owned()),
        })
    }

    /// The files that a hub lists.
    pub(crate) fn remote(dataset: &'a str, remote: &'a dyn Remote, listing: Listing) -> Self {
        let mut files = listing.files.clone();
        files.sort();
        Self {
            dataset,
            files,
            place: Place::Hub { remote, listing },
        }
    }

    /// Where a file is on disk, after fetching it where that is needed.
    pub(crate) fn open(&self, file: &str) -> Result<PathBuf, DataError> {
        match &self.place {
            Place::Folder(folder) => Ok(folder.join(file)),
            Place::Hub { remote, listing } => {
                let fetched = remote.fetch(self.dataset, listing, file);
                fetched.map_err(|source| DataError::Remote {
                    path: self.dataset.to_owned(),
                    source,
                })
            }
        }
    }

    /// The configs of the card, if there is one.
    pub(crate) fn card(&self) -> Result<Vec<CardConfig>, DataError> {
        if !self.files.iter().any(|file| file == CARD) {
            return Ok(Vec::new());
        }
        let path = self.open(CARD)?;
        configs(&file_text::read(&path)?).map_err(|reason| DataError::corrupt(&path, reason))
    }

    /// In words: the folder, or the repository at the hub.
    pub(crate) fn place(&self) -> String {
        match &self.place {
            Place::Folder(folder) => folder.display().to_string(),
            Place::Hub { listing, .. } => {
                let revision = &listing.revision;
                if listing.from_cache {
                    format!("the cache (revision {revision}, and nobody was asked)")
                } else {
                    format!("the hub (revision {revision})")
                }
            }
        }
    }

    /// The same for a config's own folder, where it has one.
    pub(crate) fn place_of(&self, config: Option<&str>) -> String {
        match (&self.place, config) {
            (Place::Folder(folder), Some(config)) if folder.join(config).is_dir() => {
                folder.join(config).display().to_string()
            }
            _ => self.place(),
        }
    }

    /// The Python script that makes the rows, in repositories that hold no rows.
    pub(crate) fn script(&self) -> Option<&str> {
        let name = self.dataset.rsplit('/').next()?;
        let script = |file: &&String| file.strip_suffix(".py") == Some(name);
        self.files.iter().find(script).map(String::as_str)
    }

    /// Whether there is any file that may hold rows.
    pub(crate) fn has_data(&self) -> bool {
        self.files.iter().any(|file| holds_rows(file))
    }
}

/// Whether a file may hold rows, by its name.
pub(crate) fn holds_rows(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    ending(name).is_some() && !crate::patterns::NO_DATA.contains(&name)
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<String>,
) -> Result<(), DataError> {
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let relative = format!("{prefix}{name}");
        if !path.is_dir() {
            files.push(relative);
        } else if depth < MAX_DEPTH && !name.starts_with('.') {
            walk(&path, &format!("{relative}/"), depth + 1, files)?;
        }
    }
    Ok(())
}
