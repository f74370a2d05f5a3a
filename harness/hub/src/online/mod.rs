//! Downloads from the hub into its cache, in the layout that Hugging Face's own tools share. Takes nothing from the cache in
//! place of what the hub refuses.

mod address;
mod model;
mod repository;

pub(crate) use address::address;
pub(crate) use model::model;

use crate::cache::is_inside;
use crate::error::Result;
use crate::hub::{DatasetFiles, Observer, Wanted};
use repository::Repository;

/// The files of a data set.
pub(crate) fn dataset(wanted: Wanted<'_>) -> Result<DatasetFiles> {
    let repository = Repository::open(wanted)?;
    let listing = repository.listing()?;
    Ok(DatasetFiles {
        commit: listing.commit,
        files: listing
            .files
            .into_iter()
            .filter(|name| is_inside(name))
            .collect(),
        from_cache: false,
    })
}

/// Downloads one file of a data set, and notes the revision's commit.
pub(crate) fn dataset_file(
    wanted: Wanted<'_>,
    commit: &str,
    name: &str,
    observer: Observer<'_>,
) -> Result<()> {
    let repository = Repository::open(wanted)?;
    repository.take(commit, name, observer)?;
    repository.note(commit)
}
