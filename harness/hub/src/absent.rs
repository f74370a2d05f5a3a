//! A build without downloads: every request ends in the same answer, and what the cache has is all there is.

use std::path::{Path, PathBuf};

use crate::error::{HubError, Result};
use crate::hub::{DatasetFiles, Observer, Wanted};

pub(crate) fn model(wanted: Wanted<'_>, _: Observer<'_>) -> Result<PathBuf> {
    Err(no_downloads(wanted))
}

pub(crate) fn dataset(wanted: Wanted<'_>) -> Result<DatasetFiles> {
    Err(no_downloads(wanted))
}

pub(crate) fn dataset_file(wanted: Wanted<'_>, _: &str, _: &str, _: Observer<'_>) -> Result<()> {
    Err(no_downloads(wanted))
}

pub(crate) fn address(wanted: Wanted<'_>, _: &Path, _: Observer<'_>) -> Result<()> {
    Err(no_downloads(wanted))
}

fn no_downloads(wanted: Wanted<'_>) -> HubError {
    HubError::NoDownloads {
        id: wanted.id.to_owned(),
        cache: wanted.settings.cache.clone(),
    }
}
