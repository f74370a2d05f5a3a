//! What can go wrong between here and the hub; every message names the model, the cause and the way out.

use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Offline, and never downloaded.
    #[error("{model} is not in the cache {} and {variable} forbids downloads; unset {variable}, or name another cache with HF_HUB_CACHE", cache.display())]
    Offline {
        /// Id of the model.
        model: String,
        /// The variable that forbids them.
        variable: &'static str,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// 404.
    #[error(
        "{model}: {endpoint} has no such model or revision (404), and there is no such directory here"
    )]
    NotFound {
        /// Id of the model.
        model: String,
        /// The hub's address.
        endpoint: String,
    },
    /// 401 or 403.
    #[error(
        "{model}: {endpoint} refuses access ({status}): there is no such model, or it is private or gated; {way_out}"
    )]
    Denied {
        /// Id of the model.
        model: String,
        /// The hub's address.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What to do about the token.
        way_out: &'static str,
    },
    /// The hub cannot be reached, or answers nonsense, and the cache does not have the model.
    #[error("{model}: {endpoint}: {cause}; the cache {} does not have all of it", cache.display())]
    Unreachable {
        /// Id of the model.
        model: String,
        /// The hub's address.
        endpoint: String,
        /// What the network said.
        cause: String,
        /// The cache's folder.
        cache: PathBuf,
    },
    /// A repository without what a model needs.
    #[error("{model}: the repository has no {missing}")]
    Incomplete {
        /// Id of the model.
        model: String,
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
    #[error("{model}: {file}: {problem}")]
    BadFile {
        /// Id of the model.
        model: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, HubError>;

pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> HubError {
    let path = path.to_owned();
    move |source| HubError::Io { path, source }
}
