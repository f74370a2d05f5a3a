//! The file layouts of a hub data set: which folder is a config, which files are a split; refuses incomplete shards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::listing;
use crate::source::{file_name, subfolders};
use crate::{DataError, Split, csv_table, json_rows, parquet_rows};

/// File formats, best first: where a split is there in several, the first is read.
const EXTENSIONS: [&str; 4] = ["parquet", "jsonl", "json", "csv"];

/// Sub-folder that some repositories keep their files in.
const DATA_FOLDER: &str = "data";

/// The data files of one config.
pub(crate) struct Folder {
    path: PathBuf,
    files: Vec<DataFile>,
}

struct DataFile {
    path: PathBuf,
    split: String,
    extension: &'static str,
    shard: Option<Shard>,
}

struct Shard {
    number: usize,
    of: Option<usize>,
}

impl Folder {
    /// The folder of a config: `<root>/<config>`; without a config `<root>/default`, the root itself, or the only config.
    pub(crate) fn of_config(
        dataset: &str,
        root: &Path,
        config: Option<&str>,
    ) -> Result<Self, DataError> {
        if let Some(config) = config {
            let folder = Self::read(&root.join(config))?;
            return if folder.files.is_empty() {
                Err(config_missing(dataset, root, Some(config)))
            } else {
                Ok(folder)
            };
        }
        for candidate in [root.join("default"), root.to_owned()] {
            let folder = Self::read(&candidate)?;
            if !folder.files.is_empty() {
                return Ok(folder);
            }
        }
        match configs(root).as_slice() {
            [only] => Self::read(only),
            _ => Err(config_missing(dataset, root, None)),
        }
    }

    fn read(path: &Path) -> Result<Self, DataError> {
        let mut files = Vec::new();
        for folder in [path.to_owned(), path.join(DATA_FOLDER)] {
            if folder.is_dir() {
                for entry in std::fs::read_dir(&folder).map_err(DataError::io(&folder))? {
                    let entry = entry.map_err(DataError::io(&folder))?;
                    files.extend(DataFile::recognise(entry.path()));
                }
            }
        }
        files.sort_by(|a, b| a.order().cmp(&b.order()));
        Ok(Self {
            path: path.to_owned(),
            files,
        })
    }

    /// The files of a split, shards in order.
    pub(crate) fn split_files(
        &self,
        dataset: &str,
        split: &str,
    ) -> Result<Vec<PathBuf>, DataError> {
        for extension in EXTENSIONS {
            let of_split = |file: &&DataFile| file.split == split && file.extension == extension;
            let files: Vec<&DataFile> = self.files.iter().filter(of_split).collect();
            // A whole file beats shards of the same name.
            if let Some(whole) = files.iter().find(|file| file.shard.is_none()) {
                return Ok(vec![whole.path.clone()]);
            }
            if !files.is_empty() {
                self.require_all_shards(split, &files)?;
                return Ok(files.iter().map(|file| file.path.clone()).collect());
            }
        }
        let mut known: Vec<&str> = self.files.iter().map(|file| file.split.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        Err(DataError::SplitNotFound {
            path: dataset.to_owned(),
            split: split.to_owned(),
            place: self.path.display().to_string(),
            hint: harness_spelling::hint(split, known.iter().copied()),
            available: listing(known),
        })
    }

    fn require_all_shards(&self, split: &str, files: &[&DataFile]) -> Result<(), DataError> {
        let announced = files
            .iter()
            .filter_map(|file| file.shard.as_ref()?.of)
            .max();
        match announced {
            Some(expected) if expected != files.len() => Err(DataError::ShardMissing {
                split: split.to_owned(),
                folder: self.path.clone(),
                expected,
                found: files.len(),
            }),
            _ => Ok(()),
        }
    }
}

impl DataFile {
    /// Reads split and shard out of `<split>.<ext>`, `<split>-<number>[-of-<count>][-<hash>].<ext>`.
    fn recognise(path: PathBuf) -> Option<Self> {
        let found = path.extension()?.to_str()?;
        let extension = EXTENSIONS.into_iter().find(|known| *known == found)?;
        let stem = path.file_stem()?.to_str()?;
        let (split, shard) = match split_shard(stem) {
            Some((split, shard)) => (split.to_owned(), Some(shard)),
            None => (stem.to_owned(), None),
        };
        Some(Self {
            path,
            split,
            extension,
            shard,
        })
    }

    fn order(&self) -> (&str, usize, &Path) {
        (
            &self.split,
            self.shard.as_ref().map_or(0, |shard| shard.number),
            &self.path,
        )
    }
}

/// `train-00001-of-00003-9fa2` into `train` and shard 1 of 3.
fn split_shard(stem: &str) -> Option<(&str, Shard)> {
    let is_number = |part: &str| part.len() >= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = stem.split('-').collect();
    let at = (1..parts.len()).find(|&index| is_number(parts[index]))?;
    let of = match parts.get(at + 1..at + 3) {
        Some(["of", count]) if is_number(count) => count.parse().ok(),
        _ => None,
    };
    let split_length = parts[..at].iter().map(|part| part.len() + 1).sum::<usize>() - 1;
    Some((
        &stem[..split_length],
        Shard {
            number: parts[at].parse().ok()?,
            of,
        },
    ))
}

/// Folders of a data set that hold data files.
fn configs(root: &Path) -> Vec<PathBuf> {
    let holds_data =
        |folder: &PathBuf| Folder::read(folder).is_ok_and(|folder| !folder.files.is_empty());
    subfolders(root).into_iter().filter(holds_data).collect()
}

fn config_missing(dataset: &str, root: &Path, config: Option<&str>) -> DataError {
    let known: Vec<String> = configs(root)
        .iter()
        .map(|folder| file_name(folder))
        .collect();
    let names = || known.iter().map(String::as_str);
    DataError::ConfigNotFound {
        path: dataset.to_owned(),
        config: config.map_or_else(
            || "of the name `default`; choose one with dataset_name".to_owned(),
            |name| format!("`{name}`"),
        ),
        folder: root.to_owned(),
        available: listing(names()),
        hint: config
            .map(|name| harness_spelling::hint(name, names()))
            .unwrap_or_default(),
    }
}

/// Reads files of one split, end to end; all must have the same columns.
pub(crate) fn read_files(files: &[PathBuf]) -> Result<Split, DataError> {
    let mut splits = files
        .iter()
        .map(|file| read_file(file).map(|split| (file, split)));
    let Some(first) = splits.next() else {
        return Ok(Split {
            columns: Vec::new(),
            documents: Vec::new(),
        });
    };
    let (first_file, mut whole) = first?;
    for next in splits {
        let (file, split) = next?;
        if by_name(&split.columns) != by_name(&whole.columns) {
            let reason = format!(
                "columns {} differ from {} in {}",
                listing(split.columns.iter().map(String::as_str)),
                listing(whole.columns.iter().map(String::as_str)),
                first_file.display()
            );
            return Err(DataError::corrupt(file, reason));
        }
        whole.documents.extend(split.documents);
    }
    Ok(whole)
}

fn by_name(columns: &[String]) -> BTreeSet<&str> {
    columns.iter().map(String::as_str).collect()
}

fn read_file(file: &Path) -> Result<Split, DataError> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => parquet_rows::read(file),
        Some("csv") => csv_table::read(file),
        Some("tsv") => Err(DataError::corrupt(
            file,
            "tab-separated files are not supported; save it as .csv",
        )),
        Some("json" | "jsonl") => json_rows::read(file),
        _ => Err(DataError::corrupt(
            file,
            format!("unknown file type; known are {}", listing(EXTENSIONS)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::split_shard;

    #[test]
    fn shard_names() {
        let read = |stem| split_shard(stem).map(|(split, shard)| (split, shard.number, shard.of));
        assert_eq!(read("train-00001-of-00003"), Some(("train", 1, Some(3))));
        assert_eq!(
            read("test-clean-00000-of-00001-9fa2"),
            Some(("test-clean", 0, Some(1)))
        );
        assert_eq!(read("train-0007"), Some(("train", 7, None)));
        assert_eq!(read("train"), None);
        assert_eq!(read("test-clean"), None);
    }
}
