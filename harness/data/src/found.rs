//! A data set that was found: which files are which of its splits, after `dataset_kwargs` have had their say. Refuses splits
//! that they leave out.

use std::path::PathBuf;

use crate::error::{listing, paths};
use crate::files::{expand, is_url};
use crate::layout::{Config, config, of_folder};
use crate::options::SplitOption;
use crate::patterns::{Splits, conventional, matching};
use crate::repository::{Repository, holds_rows};
use crate::shards::shards_in_order;
use crate::split_expression::{Term, parse};
use crate::tables::{ENDINGS, Format, Source, ending};
use crate::{DataError, DataFiles, DatasetRef, ReadingOptions};

/// A data set whose splits can be asked for.
pub(crate) struct Found<'a> {
    pub(crate) repository: Option<Repository<'a>>,
    pub(crate) splits: FoundSplits,
    pub(crate) format: Option<Format>,
}

pub(crate) enum FoundSplits {
    Config(Box<Config>),
    /// Files by split, and where they are named.
    Named(Splits, String),
}

impl Found<'_> {
    pub(crate) fn source<'t>(
        &self,
        dataset: &DatasetRef,
        term: &'t Term,
    ) -> Result<Source<'t>, DataError> {
        let mut reading = dataset.options.reading.clone();
        let files = match &self.splits {
            FoundSplits::Config(config) => {
                if reading == ReadingOptions::default() {
                    reading = config.reading.clone();
                }
                config.files(&dataset.path, &term.split)?
            }
            FoundSplits::Named(splits, place) => {
                let known = || splits.iter().map(|(name, _)| name.as_str());
                let files = splits.iter().find(|(name, _)| *name == term.split);
                files
                    .map(|(_, files)| files.clone())
                    .ok_or_else(|| DataError::SplitNotFound {
                        path: dataset.path.clone(),
                        split: term.split.clone(),
                        place: place.clone(),
                        available: listing(known()),
                        hint: harness_spelling::hint(&term.split, known()),
                    })?
            }
        };
        Ok(Source {
            term,
            files,
            format: self.format,
            reading,
        })
    }
}

/// The split expression that a task's split stands for.
pub(crate) fn expression(dataset: &DatasetRef, split: &str) -> Result<String, DataError> {
    match &dataset.options.split {
        None => Ok(split.to_owned()),
        Some(SplitOption::One(one)) => {
            let is_meant = one == split || parse(one)?.iter().any(|term| term.split == split);
            is_meant.then(|| one.clone()).ok_or_else(|| {
                let reason = format!("`split: {one}` in dataset_kwargs leaves no split `{split}`");
                bad_reference(dataset, reason)
            })
        }
        Some(SplitOption::Named(named)) => {
            let known = || named.iter().map(|(name, _)| name.as_str());
            let found = named.iter().find(|(name, _)| name == split);
            found
                .map(|(_, expression)| expression.clone())
                .ok_or_else(|| DataError::SplitNotFound {
                    path: dataset.path.clone(),
                    split: split.to_owned(),
                    place: "`split` in dataset_kwargs".to_owned(),
                    available: listing(known()),
                    hint: harness_spelling::hint(split, known()),
                })
        }
    }
}

/// The splits of a data set that is there.
pub(crate) fn in_repository<'a>(
    dataset: &'a DatasetRef,
    repository: Repository<'a>,
) -> Result<Found<'a>, DataError> {
    let options = &dataset.options;
    let name = dataset.name.as_deref().or(options.name.as_deref());
    let splits = match (&options.data_files, &options.data_dir) {
        (Some(files), folder) => {
            let splits = matched_by_split(&repository, files, folder.as_deref())?;
            FoundSplits::Named(splits, "data_files".to_owned())
        }
        (None, Some(folder)) => {
            let data: Vec<String> = repository
                .files
                .iter()
                .filter(|file| holds_rows(file))
                .cloned()
                .collect();
            let place = format!("`{folder}` in {}", repository.place());
            FoundSplits::Named(of_folder(&data, folder), place)
        }
        (None, None) => FoundSplits::Config(Box::new(config(&repository, name)?)),
    };
    Ok(Found {
        repository: Some(repository),
        splits,
        format: None,
    })
}

/// `data_files` as patterns over a data set's own files.
fn matched_by_split(
    repository: &Repository<'_>,
    files: &DataFiles,
    folder: Option<&str>,
) -> Result<Splits, DataError> {
    let one = |name: &String| {
        if is_url(name) {
            return Ok(vec![name.clone()]);
        }
        let pattern = folder.map_or_else(
            || name.clone(),
            |folder| format!("{}/{name}", folder.trim_matches('/')),
        );
        let matched =
            matching(&pattern, &repository.files).map_err(|error| DataError::BadReference {
                path: repository.dataset.to_owned(),
                reason: format!("data file `{pattern}` is no pattern: {error}"),
            })?;
        if matched.is_empty() {
            let known = repository.files.iter().map(String::as_str);
            return Err(DataError::FileNotFound {
                file: pattern.clone(),
                searched: repository.place(),
                hint: harness_spelling::hint(&pattern, known),
            });
        }
        Ok(matched)
    };
    let splits = by_split(files).into_iter().map(|(split, names)| {
        let files: Vec<Vec<String>> = names.iter().map(one).collect::<Result<_, _>>()?;
        Ok((split.to_owned(), files.concat()))
    });
    splits.collect()
}

pub(crate) fn by_split(files: &DataFiles) -> Vec<(&str, &[String])> {
    match files {
        DataFiles::Train(names) => vec![("train", names)],
        DataFiles::BySplit(splits) => splits
            .iter()
            .map(|(split, names)| (split.as_str(), names.as_slice()))
            .collect(),
    }
}

pub(crate) fn expand_all(names: &[String], folders: &[PathBuf]) -> Result<Vec<String>, DataError> {
    let mut files = Vec::new();
    for name in names {
        if is_url(name) {
            files.push(name.clone());
        } else {
            let found = expand(name, folders)?;
            files.extend(found.iter().map(|file| file.to_string_lossy().into_owned()));
        }
    }
    Ok(files)
}

/// A builder's `data_dir`: splits by the names of its files.
pub(crate) fn in_builder_folder<'a>(
    dataset: &'a DatasetRef,
    format: Format,
    folders: &[PathBuf],
) -> Result<Found<'a>, DataError> {
    let Some(folder) = folders.iter().find(|folder| folder.is_dir()) else {
        let reason = format!("no folder for `data_dir`; searched {}", paths(folders));
        return Err(bad_reference(dataset, reason));
    };
    let repository = Repository::local(&dataset.path, folder)?;
    let of_format = |file: &&String| {
        let found = ending(file).map(|(at, _)| ENDINGS[at].1);
        found == Some(format) || (found, format) == (Some(Format::Tsv), Format::Csv)
    };
    let files: Vec<String> = repository.files.iter().filter(of_format).cloned().collect();
    let mut splits = Splits::new();
    for (split, files) in conventional(&files) {
        let place = folder.display().to_string();
        splits.push((split.clone(), shards_in_order(&split, &place, &files)?));
    }
    Ok(Found {
        splits: FoundSplits::Named(splits, folder.display().to_string()),
        repository: Some(repository),
        format: None,
    })
}

pub(crate) fn bad_reference(dataset: &DatasetRef, reason: String) -> DataError {
    DataError::BadReference {
        path: dataset.path.clone(),
        reason,
    }
}
