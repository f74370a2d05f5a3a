//! Where method libraries are. It refuses to guess folders: the caller gives the search path.

use std::collections::BTreeMap;
use std::env::consts::{DLL_EXTENSION, DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use harness_spelling::nearest;

use crate::{HostError, LoadedMethod, MethodDescription};

/// What a library's name says between the platform's prefix and the method's id.
const STEM: &str = "harness_method_";

/// Folders that hold method libraries, called `libharness_method_<id>.so` (`.dylib`, or `harness_method_<id>.dll`). Earlier folders win.
#[derive(Clone, Debug)]
pub struct MethodPath {
    folders: Vec<PathBuf>,
}

impl MethodPath {
    /// A search path. Folders that do not exist are skipped.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Every method by id, without loading any.
    pub fn list(&self) -> Result<BTreeMap<String, PathBuf>, HostError> {
        let mut methods = BTreeMap::new();
        for folder in &self.folders {
            for path in files(folder)? {
                if let Some(id) = method_id(&path) {
                    methods.entry(id).or_insert(path);
                }
            }
        }
        Ok(methods)
    }

    /// The library of `method`: an id to look up, or a path (with a separator or a library's extension) to take as it is.
    pub fn find(&self, method: &str) -> Result<PathBuf, HostError> {
        if let Some(path) = explicit_path(method) {
            return Ok(path);
        }
        let mut methods = self.list()?;
        methods.remove(method).ok_or_else(|| HostError::NotFound {
            name: method.to_owned(),
            nearest: nearest(method, methods.keys().map(String::as_str)).map(str::to_owned),
            found: methods.into_keys().collect(),
            searched: self.folders.clone(),
        })
    }

    /// Finds and loads `method`. A library that was found by id must describe itself by that id.
    pub fn open(&self, method: &str) -> Result<LoadedMethod, HostError> {
        let loaded = LoadedMethod::open(&self.find(method)?)?;
        Self::check_id(method, loaded.path(), loaded.description())?;
        Ok(loaded)
    }

    /// Refuses a library that was found by id and describes itself by another.
    pub fn check_id(
        method: &str,
        library: &Path,
        description: &MethodDescription,
    ) -> Result<(), HostError> {
        if explicit_path(method).is_some() || description.id == method {
            return Ok(());
        }
        Err(HostError::WrongId {
            path: library.to_owned(),
            id: description.id.clone(),
        })
    }
}

fn explicit_path(method: &str) -> Option<PathBuf> {
    let path = Path::new(method);
    let is_library = path
        .extension()
        .is_some_and(|extension| extension == DLL_EXTENSION);
    (is_library || path.components().count() > 1).then(|| path.to_owned())
}

/// The folder's entries; none if it does not exist.
fn files(folder: &Path) -> Result<Vec<PathBuf>, HostError> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        paths => paths.map_err(|source| HostError::Folder {
            folder: folder.to_owned(),
            source,
        }),
    }
}

fn method_id(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_prefix(DLL_PREFIX)?.strip_suffix(DLL_SUFFIX)?;
    stem.strip_prefix(STEM).map(str::to_owned)
}
