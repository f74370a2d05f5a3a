//! What is asked of a hub: the files of a data set, and addresses. Knows no protocol; whoever builds a [`crate::DataSource`]
//! brings the hub along, or does not.

use std::error::Error;
use std::path::PathBuf;

/// Why a hub gave nothing; it names the data set or the address.
pub type RemoteError = Box<dyn Error + Send + Sync>;

/// A hub with its cache.
pub trait Remote: Send + Sync {
    /// The files of a data set at a branch, tag or commit. Offline, those that the cache has.
    ///
    /// # Errors
    /// Where there is no such data set or revision, or nobody can be asked.
    fn list(&self, dataset: &str, revision: &str) -> Result<Listing, RemoteError>;

    /// Brings one file of a listing into the cache, and says where it is.
    ///
    /// # Errors
    /// Where the file is not in the cache and cannot be had.
    fn fetch(&self, dataset: &str, listing: &Listing, file: &str) -> Result<PathBuf, RemoteError>;

    /// Brings the file at an `http` or `https` address into the cache, and says where it is.
    ///
    /// # Errors
    /// Where the file is not in the cache and cannot be had.
    fn download(&self, url: &str) -> Result<PathBuf, RemoteError>;
}

/// The files of a data set at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The branch, tag or commit asked for.
    pub revision: String,
    /// The commit, which is what files are fetched by.
    pub commit: String,
    /// Paths inside the repository, with `/` between folders.
    pub files: Vec<String>,
    /// Whether these are only the files that the cache has, as nobody could be asked.
    pub from_cache: bool,
}
