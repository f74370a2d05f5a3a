//! What can go wrong between here and the hub; every message names the model, data set or address, the cause and the way out.

use std::path::{Path, PathBuf};

use crate::cache::Kind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Offline, and never downloaded.
    #[error("{id} is not in the cache {} and {variable} forbids downloads; unset {variable}, or name another cache with HF_HUB_CACHE", cache.display())]
    Offline {
        /// Id of the model or data set, or the address.
        id: String,
        /// The variable that forbids them.
        variable: &'static str,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// Not in the cache, and this build cannot download it.
    #[error(
        "{id} is not in the cache {}, and this build downloads nothing; build with the feature \"hub\"",
        cache.display()
    )]
    NoDownloads {
        /// Id of the model or data set, or the address.
        id: String,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// 404.
    #[error("{}", not_found(id, *kind, endpoint))]
    NotFound {
        /// Id of the model or data set, or the address.
        id: String,
        /// What it is.
        kind: Kind,
        /// The hub's address.
        endpoint: String,
    },
    /// 401 or 403.
    #[error(
        "{id}: {endpoint} refuses access ({status}): there is no such {}, or it is private or gated; {way_out}",
        kind.noun()
    )]
    Denied {
        /// Id of the model or data set, or the address.
        id: String,
        /// What it is.
        kind: Kind,
        /// The hub's address.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What to do about the token.
        way_out: &'static str,
    },
    /// The hub cannot be reached, or answers nonsense, and the cache does not have it.
    #[error("{id}: {endpoint}: {cause}; the cache {} does not have all of it", cache.display())]
    Unreachable {
        /// Id of the model or data set, or the address.
        id: String,
        /// The hub's address.
        endpoint: String,
        /// What the network said.
        cause: String,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// A repository without what a model needs.
    #[error("{id}: the repository has no {missing}")]
    Incomplete {
        /// Id of the model or data set, or the address.
        id: String,
        /// The file, and what would do.
        missing: String,
    },
    /// The environment does not say where to cache.
    #[error("no place for downloads: set HF_HOME (or HF_HUB_CACHE) to a folder")]
    NoCache,
    /// A file of the cache could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the hub is not what it should be.
    #[error("{id}: {file}: {problem}")]
    BadFile {
        /// Id of the model or data set, or the address.
        id: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl HubError {
    /// Whether what the cache has is as good as anything.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NoDownloads { .. })
    }

    /// The same, naming the file that was asked for.
    pub(crate) fn about_file(mut self, name: &str) -> Self {
        match &mut self {
            Self::Unreachable { cause, .. } if !cause.starts_with(name) => {
                *cause = format!("{name}: {cause}");
            }
            Self::Offline { id, .. } | Self::NoDownloads { id, .. } | Self::NotFound { id, .. } => {
                *id = format!("{id}: {name}");
            }
            _ => {}
        }
        self
    }
}

fn not_found(id: &str, kind: Kind, endpoint: &str) -> String {
    match kind {
        Kind::Model => format!(
            "{id}: {endpoint} has no such model or revision (404), and there is no such directory here"
        ),
        Kind::Dataset => format!("{id}: {endpoint} has no such data set, revision or file (404)"),
        Kind::Address => format!("{id}: there is no such file (404)"),
    }
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, HubError>;

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> HubError {
    let path = path.to_owned();
    move |source| HubError::Io { path, source }
}
