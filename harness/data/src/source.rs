//! Finds a data set below the data folders or at a hub and reads one split of it; refuses to guess between configs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::paths;
use crate::files::is_url;
use crate::found::{
    Found, FoundSplits, bad_reference, by_split, expand_all, expression, in_builder_folder,
    in_repository,
};
use crate::patterns::Splits;
use crate::remote::{Listing, Remote, RemoteError};
use crate::repository::Repository;
use crate::split_expression::parse;
use crate::tables::{BUILDERS, Format, concatenate};
use crate::{DataError, DatasetRef, Selection, Split};

/// The branch of a hub's data set that is meant where none is named.
const MAIN: &str = "main";
/// Where the hub keeps Parquet files that it made of a data set.
const EXPORT: &str = "refs/convert/parquet";

/// Where data sets are looked for.
#[derive(Clone, Debug, Default)]
pub struct DataSource {
    data_dirs: Vec<PathBuf>,
    hub: Option<Arc<Hub>>,
}

/// A hub, and what it said.
struct Hub {
    remote: Box<dyn Remote>,
    listings: Mutex<BTreeMap<(String, String), Listing>>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

impl DataSource {
    /// A source over the folders of `--data-dir`; earlier ones win.
    pub fn new(data_dirs: Vec<PathBuf>) -> Self {
        Self {
            data_dirs,
            hub: None,
        }
    }

    /// The same with a hub, which is asked for data sets that no folder has, and for addresses.
    #[must_use]
    pub fn with_remote(mut self, remote: Box<dyn Remote>) -> Self {
        self.hub = Some(Arc::new(Hub {
            remote,
            listings: Mutex::default(),
        }));
        self
    }

    /// Reads one split of a data set, or what a split expression (`train[:10%]+test`) means.
    ///
    /// # Errors
    /// Where data set, config, split or a file is not there, and where a file is not what its name says.
    pub fn load(&self, dataset: &DatasetRef, split: &str) -> Result<Split, DataError> {
        self.select(dataset, split, &Selection::default())
    }

    /// As [`Self::load`], but only some columns and rows.
    ///
    /// # Errors
    /// As [`Self::load`], and where a file lacks a column.
    pub fn select(
        &self,
        dataset: &DatasetRef,
        split: &str,
        selection: &Selection<'_>,
    ) -> Result<Split, DataError> {
        let expression = expression(dataset, split)?;
        let terms = parse(&expression)?;
        let found = self.find(dataset)?;
        let mut left = selection.limit.unwrap_or(usize::MAX);
        let mut splits = Vec::new();
        for term in &terms {
            let source = found.source(dataset, term)?;
            let open = |name: &str| self.open(dataset, &found, name);
            let read = source.read(selection, left, &open)?;
            left -= read.documents.len();
            splits.push(read);
        }
        concatenate(&expression, splits)
    }

    fn find<'a>(&'a self, dataset: &'a DatasetRef) -> Result<Found<'a>, DataError> {
        let builder = BUILDERS.iter().find(|(name, _)| *name == dataset.path);
        if let Some((_, format)) = builder {
            return self.builder(dataset, *format);
        }
        match self.local_folder(dataset) {
            Ok(folder) => in_repository(dataset, Repository::local(&dataset.path, &folder)?),
            Err(searched) => self.at_the_hub(dataset, &searched),
        }
    }

    fn local_folder(&self, dataset: &DatasetRef) -> Result<PathBuf, Vec<PathBuf>> {
        let candidates = self.dataset_candidates(dataset);
        let found = candidates.iter().find(|folder| folder.is_dir()).cloned();
        found.ok_or(candidates)
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

    fn at_the_hub<'a>(
        &'a self,
        dataset: &'a DatasetRef,
        searched: &[PathBuf],
    ) -> Result<Found<'a>, DataError> {
        let revision = dataset.options.revision.as_deref();
        let listed = match &self.hub {
            Some(hub) if is_hub_id(&dataset.path) => {
                match hub.list(&dataset.path, revision.unwrap_or(MAIN)) {
                    // The cache may have the export alone.
                    Err(error) if revision.is_none() => {
                        hub.list(&dataset.path, EXPORT).map_err(|_| error)
                    }
                    listed => listed,
                }
            }
            _ => Err(None),
        };
        let (hub, listing) = listed.map_err(|source| {
            let known = self.data_set_names();
            DataError::DatasetNotFound {
                path: dataset.path.clone(),
                searched: paths(searched),
                hint: harness_spelling::hint(&dataset.path, known.iter().map(String::as_str)),
                hub: source,
            }
        })?;
        let remote = hub.remote.as_ref();
        let repository = Repository::remote(&dataset.path, remote, listing);
        let script = repository.script();
        let is_made = script.is_some() && repository.card()?.is_empty();
        // Rows made by a script, or packed in ways that only a script opens, are there as Parquet.
        if revision.is_none()
            && (is_made || !repository.has_data())
            && let Ok((_, export)) = hub.list(&dataset.path, EXPORT)
        {
            let export = Repository::remote(&dataset.path, remote, export);
            return in_repository(dataset, export);
        }
        match script.filter(|_| is_made) {
            Some(script) => Err(DataError::Script {
                path: dataset.path.clone(),
                script: script.to_owned(),
            }),
            None => in_repository(dataset, repository),
        }
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

    fn builder<'a>(&self, dataset: &'a DatasetRef, format: Format) -> Result<Found<'a>, DataError> {
        let folders = std::iter::once(&dataset.base_dir).chain(&self.data_dirs);
        let data_dir = dataset.options.data_dir.as_deref();
        let folders: Vec<PathBuf> = folders
            .map(|folder| data_dir.map_or_else(|| folder.clone(), |inner| folder.join(inner)))
            .collect();
        let Some(files) = &dataset.options.data_files else {
            if data_dir.is_none() {
                let reason =
                    "the builder needs `dataset_kwargs: {data_files: …}` or `{data_dir: …}`";
                return Err(bad_reference(dataset, reason.to_owned()));
            }
            return in_builder_folder(dataset, format, &folders);
        };
        let mut splits = Splits::new();
        for (split, names) in by_split(files) {
            splits.push((split.to_owned(), expand_all(names, &folders)?));
        }
        Ok(Found {
            repository: None,
            splits: FoundSplits::Named(splits, "data_files".to_owned()),
            format: Some(format),
        })
    }

    fn open(
        &self,
        dataset: &DatasetRef,
        found: &Found<'_>,
        name: &str,
    ) -> Result<PathBuf, DataError> {
        if is_url(name) {
            let Some(hub) = &self.hub else {
                let reason =
                    format!("data file `{name}` is an address, and no hub is there to download it");
                return Err(bad_reference(dataset, reason));
            };
            let downloaded = hub.remote.download(name);
            return downloaded.map_err(|source| DataError::Remote {
                path: dataset.path.clone(),
                source,
            });
        }
        match &found.repository {
            Some(repository) => repository.open(name),
            None => Ok(PathBuf::from(name)),
        }
    }
}

impl Hub {
    /// Asks once a run.
    fn list(&self, dataset: &str, revision: &str) -> Result<(&Self, Listing), Option<RemoteError>> {
        let key = (dataset.to_owned(), revision.to_owned());
        let mut listings = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listing) = listings.get(&key) {
            return Ok((self, listing.clone()));
        }
        let listing = self.remote.list(dataset, revision).map_err(Some)?;
        listings.insert(key, listing.clone());
        Ok((self, listing))
    }
}

/// Whether a name has the form of a hub's data set, `ORG/NAME`, or of one of the old ones without an organisation.
fn is_hub_id(name: &str) -> bool {
    let is_part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().all(plain)
            && !part.contains("..")
    };
    name.split('/').count() <= 2 && name.split('/').all(is_part)
}

/// Folders directly inside `folder`, sorted; none if it cannot be read, as this only feeds hints.
fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
