//! The index of a large task folder, kept between runs. An entry holds as long as its file and all that the file includes
//! have the sizes and times they had; a cache that cannot be read or written is as good as none, and never an error.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::definition::Definition;
use crate::TaskError;

/// Folders of fewer files are read faster than explained.
const WORTH_CACHING: usize = 500;

/// Changes whenever entries mean something else.
const FORMAT: u32 = 1;

/// How a file is recognised as unchanged: bytes, and nanoseconds of its last change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stamp(u64, u128);

/// A file of the index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CachedFile {
    /// None where the file could not be looked at.
    pub(super) stamp: Option<Stamp>,
    /// The files it includes.
    pub(super) included: Vec<PathBuf>,
    /// What it defines.
    pub(super) definition: Definition,
}

/// What is kept of one task folder.
#[derive(Default, Serialize, Deserialize)]
struct Contents {
    format: u32,
    files: BTreeMap<PathBuf, CachedFile>,
    included: BTreeMap<PathBuf, Stamp>,
}

/// The cache of one task folder.
pub(super) struct Cache {
    /// None for folders that are not cached.
    file: Option<PathBuf>,
    contents: Contents,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self(metadata.len(), changed.as_nanos()))
    }
}

impl Cache {
    /// Reads what is known of the folder `root`, which holds `files` files.
    pub(super) fn open(folder: Option<&Path>, root: &Path, files: usize) -> Self {
        let file = folder
            .filter(|_| files >= WORTH_CACHING)
            .and_then(|folder| Some(folder.join(file_name(&std::path::absolute(root).ok()?))));
        let mut contents = file.as_deref().and_then(read).unwrap_or_default();
        contents
            .included
            .retain(|path, stamp| Stamp::of(path).as_ref() == Some(stamp));
        Self { file, contents }
    }

    /// What the file defines, if neither it nor its includes have changed.
    pub(super) fn find(&self, path: &Path, stamp: Option<&Stamp>) -> Option<&CachedFile> {
        let known = self.contents.files.get(path)?;
        let unchanged = |path| self.contents.included.contains_key(path);
        (stamp.is_some() && known.stamp.as_ref() == stamp && known.included.iter().all(unchanged))
            .then_some(known)
    }

    /// Keeps what was read for the next run, unless that is what was kept already.
    pub(super) fn update(
        &mut self,
        files: &[(PathBuf, Option<Stamp>)],
        read: &[Result<CachedFile, TaskError>],
    ) {
        let Some(target) = &self.file else {
            return;
        };
        let usable = || {
            files
                .iter()
                .zip(read)
                .filter_map(|((path, _), file)| Some((path, file.as_ref().ok()?)))
        };
        let is_known =
            |(path, file): (&PathBuf, &CachedFile)| self.find(path, file.stamp.as_ref()).is_some();
        if self.contents.files.len() == usable().count() && usable().all(is_known) {
            return;
        }
        let mut contents = Contents {
            format: FORMAT,
            ..Contents::default()
        };
        for (path, file) in usable() {
            for included in &file.included {
                if !contents.included.contains_key(included)
                    && let Some(stamp) = Stamp::of(included)
                {
                    contents.included.insert(included.clone(), stamp);
                }
            }
            contents.files.insert(path.clone(), file.clone());
        }
        // Without a cache the next run is slower, that is all.
        let _ = write(target, &contents);
    }
}

/// One file for each folder: its own name, for people, and a hash of the whole path.
fn file_name(root: &Path) -> String {
    let path = root.to_string_lossy();
    // FNV-1a: the same on every machine and in every version, which the standard library's hashes are not.
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}-{hash:016x}.json")
}

fn read(file: &Path) -> Option<Contents> {
    let contents: Contents = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    (contents.format == FORMAT).then_some(contents)
}

/// Writes beside and renames, so that no run ever reads half a cache.
fn write(file: &Path, contents: &Contents) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(&serde_json::to_vec(contents)?)?;
    beside.persist(file)?;
    Ok(())
}
