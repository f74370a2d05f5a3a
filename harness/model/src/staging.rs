//! New directories that appear under their name whole or not at all: put together beside it, then renamed. Deletes
//! nothing that it did not make.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{ModelError, Result, bad_file, io};

/// A directory in the making, called as the final one with `.partial` appended.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    target: PathBuf,
}

impl Staging {
    /// Makes the staging directory of `target`.
    ///
    /// # Errors
    /// As [`check_output`], and when the staging directory exists: another run is at work, or one was interrupted and what
    /// it left has not been looked at.
    pub fn begin(target: &Path) -> Result<Self> {
        let target = check_output(target)?;
        let path = Self::path_of(&target);
        if let Some(parent) = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self { path, target }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(occupied_staging(&path)),
            Err(error) => Err(io(&path)(error)),
        }
    }

    /// The staging directory that an interrupted run left, as it was left; `None` where there is none. Whether it may be gone on
    /// with is for the caller to find out.
    ///
    /// # Errors
    /// When the final name is taken.
    pub fn left_behind(target: &Path) -> Result<Option<Self>> {
        let target = require_free(&normalised(target))?;
        let path = Self::path_of(&target);
        Ok(path.is_dir().then_some(Self { path, target }))
    }

    /// Where the staging directory of `target` is.
    pub fn path_of(target: &Path) -> PathBuf {
        let mut path = normalised(target).into_os_string();
        path.push(".partial");
        PathBuf::from(path)
    }

    /// The directory to fill.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the directory its final name.
    ///
    /// # Errors
    /// When the final name has been taken meanwhile or the directory cannot be renamed; it stays where it is then.
    pub fn publish(self) -> Result<()> {
        require_free(&self.target)?;
        if self.target.exists() {
            std::fs::remove_dir(&self.target).map_err(io(&self.target))?;
        }
        std::fs::rename(&self.path, &self.target).map_err(io(&self.target))
    }

    /// Removes the directory with everything in it.
    pub fn discard(self) {
        // What cannot be removed is in nobody's way but the next run's, which says so.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Refuses a name for a new directory that is taken, by anything but an empty directory, or that names nothing new.
///
/// # Errors
/// With the reason. Nothing is made.
pub fn check_output(target: &Path) -> Result<PathBuf> {
    let target = require_free(&normalised(target))?;
    let staging = Staging::path_of(&target);
    if staging.exists() {
        return Err(occupied_staging(&staging));
    }
    Ok(target)
}

fn require_free(target: &Path) -> Result<PathBuf> {
    let target = target.to_owned();
    if target.file_name().is_none() {
        return Err(bad_file(&target, "names no directory of its own"));
    }
    if target.is_symlink() {
        return Err(bad_file(
            &target,
            "is a symbolic link; name the directory itself",
        ));
    }
    match std::fs::read_dir(&target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(target),
        Err(error) => Err(io(&target)(error)),
        Ok(entries) => {
            if entries.count() == 0 {
                return Ok(target);
            }
            let problem = "the output directory is not empty; name another or remove it";
            Err(bad_file(&target, problem))
        }
    }
}

/// Without trailing separators and `.` components.
fn normalised(path: &Path) -> PathBuf {
    path.components().collect()
}

fn occupied_staging(path: &Path) -> ModelError {
    let problem = "is there already: another run is writing it, or one was interrupted; look at its log, then remove it or name another output";
    bad_file(path, problem)
}

#[cfg(test)]
mod tests {
    use super::{Staging, check_output};

    #[test]
    fn a_directory_appears_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out/");
        let staging = Staging::begin(&target).unwrap();
        std::fs::write(staging.path().join("a"), "1").unwrap();
        assert!(Staging::begin(&target).is_err(), "one at a time");
        staging.publish().unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.path().join("out/a")).unwrap(),
            "1"
        );
        assert!(check_output(&target).is_err(), "it is occupied now");
    }

    #[test]
    fn what_an_interrupted_run_left_can_be_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        assert!(Staging::left_behind(&target).unwrap().is_none());
        let staging = Staging::begin(&target).unwrap();
        std::fs::write(staging.path().join("a"), "1").unwrap();
        drop(staging);
        let staging = Staging::left_behind(&target).unwrap().unwrap();
        staging.publish().unwrap();
        assert!(target.join("a").exists());
        assert!(Staging::left_behind(&target).is_err(), "it is occupied now");
    }

    #[test]
    fn what_others_left_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("out.partial")).unwrap();
        std::fs::write(folder.path().join("out.partial/thesis"), "mine").unwrap();
        assert!(Staging::begin(&folder.path().join("out")).is_err());
        assert!(folder.path().join("out.partial/thesis").exists());
        assert!(check_output(&folder.path().join("..")).is_err());
    }
}
