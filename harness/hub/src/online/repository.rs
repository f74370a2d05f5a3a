//! One repository of the hub: its list of files, and single files of one commit. Knows no models and no data sets.

use std::path::PathBuf;

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use crate::cache::{self, Kind};
use crate::error::{HubError, Result, io};
use crate::hub::{HubEvent, Observer, Wanted};

/// A repository that can be asked.
pub(super) struct Repository<'a> {
    wanted: Wanted<'a>,
    api: Api,
}

/// What the hub says about a revision.
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<String>,
}

impl<'a> Repository<'a> {
    pub(super) fn open(wanted: Wanted<'a>) -> Result<Self> {
        let settings = wanted.settings;
        let builder = ApiBuilder::from_cache(Cache::new(settings.cache.clone()))
            .with_endpoint(settings.endpoint.clone())
            .with_token(settings.token.clone())
            .with_user_agent("harness", env!("CARGO_PKG_VERSION"))
            .with_progress(false);
        let api = builder.build().map_err(|error| failure(wanted, error))?;
        Ok(Self { wanted, api })
    }

    /// The files of the revision.
    pub(super) fn listing(&self) -> Result<Listing> {
        let info = self.api.repo(self.repo(self.wanted.revision)).info();
        let info = info.map_err(|error| failure(self.wanted, error))?;
        // A commit becomes a folder's name.
        let is_hash = !info.sha.is_empty() && info.sha.chars().all(|c| c.is_ascii_hexdigit());
        if !is_hash {
            let problem = format!("sha {:?} is no commit", info.sha);
            return Err(self.wanted.bad_file("the hub's description", &problem));
        }
        let files = info.siblings.into_iter().map(|file| file.rfilename);
        Ok(Listing {
            commit: info.sha,
            files: files.collect(),
        })
    }

    /// Where the files of a commit are.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        let Wanted {
            settings, kind, id, ..
        } = self.wanted;
        cache::snapshot(&settings.cache, kind, id, commit).folder
    }

    /// Downloads one file unless the snapshot has it.
    pub(super) fn take(&self, commit: &str, name: &str, observer: Observer<'_>) -> Result<()> {
        if self.snapshot(commit).join(name).is_file() {
            return Ok(());
        }
        let progress = FileProgress {
            observer,
            done: 0,
            started: false,
        };
        let repo = self.api.repo(self.repo(commit));
        let fetched = repo.download_with_progress(name, progress);
        fetched
            .map(drop)
            .map_err(|error| failure(self.wanted, error).about_file(name))
    }

    /// Notes that the revision is this commit, so that it is found without the hub.
    pub(super) fn note(&self, commit: &str) -> Result<()> {
        let cache = Cache::new(self.wanted.settings.cache.clone());
        let noted = cache
            .repo(self.repo(self.wanted.revision))
            .create_ref(commit);
        noted.map_err(io(&self.snapshot(commit)))
    }

    fn repo(&self, revision: &str) -> Repo {
        let kind = match self.wanted.kind {
            Kind::Model => RepoType::Model,
            Kind::Dataset | Kind::Address => RepoType::Dataset,
        };
        Repo::with_revision(self.wanted.id.to_owned(), kind, revision.to_owned())
    }
}

fn failure(wanted: Wanted<'_>, error: ApiError) -> HubError {
    match error {
        ApiError::IoError(source) if is_of_the_disk(&source) => HubError::Io {
            path: wanted.settings.cache.clone(),
            source,
        },
        ApiError::RequestError(error) => request_failure(wanted, &error),
        other => unreachable(wanted, other.to_string()),
    }
}

/// What an HTTP status or a broken connection means.
pub(super) fn request_failure(wanted: Wanted<'_>, error: &ureq::Error) -> HubError {
    let (id, kind) = (wanted.id.to_owned(), wanted.kind);
    let endpoint = wanted.settings.endpoint.clone();
    match *error {
        ureq::Error::StatusCode(404) => HubError::NotFound { id, kind, endpoint },
        ureq::Error::StatusCode(status @ (401 | 403)) => HubError::Denied {
            id,
            kind,
            endpoint,
            status,
            way_out: match wanted.settings.token {
                None => "set HF_TOKEN to a token that may read it",
                Some(_) => "the token that HF_TOKEN or the cache gives may not read it",
            },
        },
        ref other => unreachable(wanted, other.to_string()),
    }
}

pub(super) fn unreachable(wanted: Wanted<'_>, cause: String) -> HubError {
    HubError::Unreachable {
        id: wanted.id.to_owned(),
        endpoint: wanted.settings.endpoint.clone(),
        cause,
        cache: wanted.settings.cache.clone(),
    }
}

/// The library gives one type to errors of files and of connections.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::StorageFull
            | ErrorKind::NotADirectory
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
    )
}

/// Passes the library's calls on as events.
struct FileProgress<'a> {
    observer: Observer<'a>,
    done: u64,
    started: bool,
}

impl Progress for FileProgress<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        // The library begins twice: before and after it has asked for the file.
        if !self.started {
            self.started = true;
            (self.observer)(HubEvent::FileStarted {
                name: filename.to_owned(),
                bytes: size as u64,
            });
        }
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.observer)(HubEvent::FileAdvanced { bytes: self.done });
    }

    fn finish(&mut self) {
        (self.observer)(HubEvent::FileFinished);
    }
}
