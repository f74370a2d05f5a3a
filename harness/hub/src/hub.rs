//! The hub and its cache: what is missing is downloaded first; where downloads are forbidden or nobody answers, what the
//! cache has is used. Opens no file that it brings.

use std::path::PathBuf;

use crate::address::place;
use crate::cache::{self, Kind, Snapshot, is_inside};
use crate::error::{HubError, Result};
use crate::online;
use crate::settings::HubSettings;

/// What every model has.
pub(crate) const CONFIG: &str = "config.json";

/// How a download goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent {
    /// A file begins.
    FileStarted {
        /// Its name in the repository.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// More of it is there.
    FileAdvanced {
        /// What is there.
        bytes: u64,
    },
    /// It is whole.
    FileFinished,
    /// Something worth a line.
    Message(String),
}

/// Who is told how a download goes.
pub type Observer<'a> = &'a mut dyn FnMut(HubEvent);

/// The files of a data set at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFiles {
    /// The commit.
    pub commit: String,
    /// Paths inside the repository, with `/` between folders.
    pub files: Vec<String>,
    /// Whether these are only the files that the cache has.
    pub from_cache: bool,
}

/// The hub as the settings describe it.
pub struct Hub {
    settings: HubSettings,
}

/// One repository at one revision.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) settings: &'a HubSettings,
    pub(crate) kind: Kind,
    pub(crate) id: &'a str,
    pub(crate) revision: &'a str,
}

impl Hub {
    /// Asks nobody anything yet.
    pub fn new(settings: HubSettings) -> Self {
        Self { settings }
    }

    /// The folder in the cache with the files of `model` (`ORG/NAME`) at `revision`, after downloading what is missing.
    ///
    /// Offline, or while the hub cannot be reached, it is what was downloaded last.
    ///
    /// # Errors
    /// When the hub has no such model, refuses it or cannot be reached and the cache does not have it, or a file cannot be
    /// written.
    pub fn model(&self, model: &str, revision: &str, observer: Observer<'_>) -> Result<PathBuf> {
        let wanted = self.wanted(Kind::Model, model, revision);
        let is_model = |found: &Snapshot| found.folder.join(CONFIG).is_file();
        let cached = || wanted.cached().filter(is_model).map(|found| found.folder);
        wanted.have(observer, |observer| online::model(wanted, observer), cached)
    }

    /// The files of the data set `dataset` at `revision`. Offline, or while the hub cannot be reached, those that the cache
    /// has.
    ///
    /// # Errors
    /// When the hub has no such data set, refuses it or cannot be reached and the cache has nothing of it.
    pub fn dataset(
        &self,
        dataset: &str,
        revision: &str,
        observer: Observer<'_>,
    ) -> Result<DatasetFiles> {
        let wanted = self.wanted(Kind::Dataset, dataset, revision);
        let cached = || {
            let found = wanted.cached()?;
            Some(DatasetFiles {
                files: cache::files(&found.folder).ok()?,
                commit: found.commit,
                from_cache: true,
            })
        };
        wanted.have(observer, |_| online::dataset(wanted), cached)
    }

    /// Where one file of a data set's commit, which `revision` stood for, is in the cache, after downloading it if it is not there.
    ///
    /// # Errors
    /// When it is not in the cache and cannot be had, or cannot be written.
    pub fn dataset_file(
        &self,
        dataset: &str,
        revision: &str,
        commit: &str,
        name: &str,
        observer: Observer<'_>,
    ) -> Result<PathBuf> {
        let wanted = self.wanted(Kind::Dataset, dataset, revision);
        if !is_inside(name) || !is_inside(commit) {
            return Err(wanted.bad_file(name, "its name leads out of the cache"));
        }
        let folder = cache::snapshot(&self.settings.cache, wanted.kind, dataset, commit).folder;
        let path = folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        let fetch = |observer: Observer<'_>| {
            online::dataset_file(wanted, commit, name, observer)?;
            Ok(path)
        };
        wanted
            .have(observer, fetch, || None)
            .map_err(|error| error.about_file(name))
    }

    /// Where the file at an `http` or `https` address is in the cache, after downloading it. One that is there is downloaded
    /// again only if it has changed; offline, or while nobody answers, it is taken as it is.
    ///
    /// # Errors
    /// When it cannot be had and is not in the cache, or cannot be written.
    pub fn address(&self, url: &str, observer: Observer<'_>) -> Result<PathBuf> {
        let wanted = self.wanted(Kind::Address, url, crate::MAIN);
        let file = place(&self.settings.cache, url).ok_or_else(|| {
            wanted.bad_file(
                "the address",
                "it is no http:// or https:// address of a file",
            )
        })?;
        let fetch = |observer: Observer<'_>| online::address(wanted, &file, observer);
        let cached = || file.is_file().then_some(());
        wanted.have(observer, fetch, cached)?;
        Ok(file)
    }

    fn wanted<'a>(&'a self, kind: Kind, id: &'a str, revision: &'a str) -> Wanted<'a> {
        Wanted {
            settings: &self.settings,
            kind,
            id,
            revision,
        }
    }
}

impl Wanted<'_> {
    /// What the cache has.
    fn cached(&self) -> Option<Snapshot> {
        cache::cached(&self.settings.cache, self.kind, self.id, self.revision)
    }

    /// What the hub gives, or in its absence the cache.
    fn have<T>(
        &self,
        observer: Observer<'_>,
        online: impl FnOnce(Observer<'_>) -> Result<T>,
        cached: impl FnOnce() -> Option<T>,
    ) -> Result<T> {
        let id = self.id.to_owned();
        if let Some(variable) = self.settings.offline {
            let cache = self.settings.cache.clone();
            return cached().ok_or(HubError::Offline {
                id,
                variable,
                cache,
            });
        }
        online(observer).or_else(|error| {
            if !error.is_outage() {
                return Err(error);
            }
            let message = match &error {
                HubError::Unreachable { endpoint, .. } => Some(HubEvent::Message(format!(
                    "{endpoint} cannot be reached; {id} is taken from the cache as it was last downloaded"
                ))),
                _ => None,
            };
            let found = cached().ok_or(error)?;
            message.into_iter().for_each(observer);
            Ok(found)
        })
    }

    pub(crate) fn bad_file(&self, file: &str, problem: &str) -> HubError {
        HubError::BadFile {
            id: self.id.to_owned(),
            file: file.to_owned(),
            problem: problem.to_owned(),
        }
    }
}
