//! The layout of the cache that Hugging Face's tools share: `<kind>s--ORG--NAME/refs/<revision>` names a commit,
//! `snapshots/<commit>/` has its files. Reads only.

use std::path::{Component, Path, PathBuf};

/// What a repository of the hub holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
    /// No repository: a file at an address.
    Address,
}

impl Kind {
    /// In words.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "data set",
            Self::Address => "file",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
            Self::Address => "addresses",
        }
    }
}

/// Files of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) commit: String,
    pub(crate) folder: PathBuf,
}

/// Where a commit's files are, or would be.
pub(crate) fn snapshot(cache: &Path, kind: Kind, id: &str, commit: &str) -> Snapshot {
    let folder = repository(cache, kind, id).join("snapshots").join(commit);
    Snapshot {
        commit: commit.to_owned(),
        folder,
    }
}

/// What the cache has for a revision, which may be a commit.
pub(crate) fn cached(cache: &Path, kind: Kind, id: &str, revision: &str) -> Option<Snapshot> {
    if !is_inside(revision) {
        return None;
    }
    let reference = repository(cache, kind, id).join("refs").join(revision);
    let by_name = std::fs::read_to_string(reference).ok();
    let commits = by_name.iter().map(|text| text.trim()).chain([revision]);
    commits
        .map(|commit| snapshot(cache, kind, id, commit))
        .find(|found| is_inside(&found.commit) && found.folder.is_dir())
}

/// Names of a snapshot's files, with `/` between folders, sorted.
pub(crate) fn files(snapshot: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![(snapshot.to_owned(), String::new())];
    while let Some((folder, prefix)) = waiting.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                waiting.push((entry.path(), name + "/"));
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name from elsewhere stays below the folder that it is put into.
pub(crate) fn is_inside(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn repository(cache: &Path, kind: Kind, id: &str) -> PathBuf {
    cache.join(format!("{}--{}", kind.folder(), id.replace('/', "--")))
}
