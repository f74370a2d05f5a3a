//! Which of a data set's files are which config's which split: by its card, by the folders that this project lays out
//! (`<config>/<split>.parquet`), as the hub exports Parquet, and by the hub's naming. Refuses to guess between configs.

use crate::DataError;
use crate::card::CardConfig;
use crate::error::listing;
use crate::options::ReadingOptions;
use crate::patterns::{Splits, conventional, in_folders, matching};
use crate::repository::{Repository, holds_rows};
use crate::shards::{shards_in_order, split_shard};
use crate::tables::ending;

/// Sub-folder that some repositories keep their files in.
const DATA_FOLDER: &str = "data/";

/// The splits of one config.
#[derive(Debug)]
pub(crate) struct Config {
    /// Ways to see the splits, best first.
    layouts: Vec<Splits>,
    pub(crate) reading: ReadingOptions,
    place: String,
}

impl Config {
    /// The files of a split, shards in order.
    pub(crate) fn files(&self, dataset: &str, split: &str) -> Result<Vec<String>, DataError> {
        let splits = || self.layouts.iter().flatten();
        if let Some((_, files)) = splits().find(|(name, _)| name == split) {
            return shards_in_order(split, &self.place, files);
        }
        let mut known: Vec<&str> = self
            .layouts
            .first()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        known.sort_unstable();
        known.dedup();
        Err(DataError::SplitNotFound {
            path: dataset.to_owned(),
            split: split.to_owned(),
            place: self.place.clone(),
            hint: harness_spelling::hint(split, known.iter().copied()),
            available: listing(known),
        })
    }
}

/// Finds a config. Without a name it is the card's default, `default/`, the data set's root, or the only config.
///
/// # Errors
/// Where there is no such config, or several and none is named.
pub(crate) fn config(repository: &Repository<'_>, name: Option<&str>) -> Result<Config, DataError> {
    let card = repository.card()?;
    let data: Vec<String> = repository
        .files
        .iter()
        .filter(|file| holds_rows(file))
        .cloned()
        .collect();
    let mut found = Config {
        layouts: Vec::new(),
        reading: ReadingOptions::default(),
        place: repository.place_of(name),
    };
    if let Some(config) = of_card(&card, name) {
        found.layouts.push(card_splits(repository, config, &data)?);
        found.reading = config.reading.clone();
    }
    let layouts = match name {
        Some(name) => named(&data, name),
        None => unnamed(&data),
    };
    found.layouts.extend(layouts);
    found.layouts.retain(|splits| !splits.is_empty());
    if found.layouts.is_empty() {
        return Err(config_missing(repository, &card, &data, name));
    }
    Ok(found)
}

/// The splits of files below `folder` of a data set, by the hub's naming.
pub(crate) fn of_folder(files: &[String], folder: &str) -> Splits {
    let prefix = format!("{}/", folder.trim_matches('/'));
    let inside: Vec<String> = (files.iter())
        .filter_map(|file| file.strip_prefix(&prefix).map(str::to_owned))
        .collect();
    let mut splits = conventional(&inside);
    for file in splits.iter_mut().flat_map(|(_, files)| files) {
        file.insert_str(0, &prefix);
    }
    splits
}

fn of_card<'a>(card: &'a [CardConfig], name: Option<&str>) -> Option<&'a CardConfig> {
    match name {
        Some(name) => card.iter().find(|config| config.name == name),
        None if card.len() == 1 => card.first(),
        None => card
            .iter()
            .find(|config| config.is_default || config.name == "default"),
    }
}

fn card_splits(
    repository: &Repository<'_>,
    config: &CardConfig,
    data: &[String],
) -> Result<Splits, DataError> {
    let folder = config
        .data_dir
        .as_deref()
        .unwrap_or_default()
        .trim_matches('/');
    let Some(splits) = &config.data_files else {
        return Ok(if folder.is_empty() {
            conventional(data)
        } else {
            of_folder(data, folder)
        });
    };
    let mut found = Splits::new();
    for (split, patterns) in splits {
        let mut files: Vec<String> = Vec::new();
        for pattern in patterns {
            let pattern = if folder.is_empty() {
                pattern.clone()
            } else {
                format!("{folder}/{pattern}")
            };
            let matched =
                matching(&pattern, &repository.files).map_err(|error| DataError::BadReference {
                    path: repository.dataset.to_owned(),
                    reason: format!("the pattern `{pattern}` of its card is none: {error}"),
                })?;
            files.extend(matched.into_iter().filter(|file| holds_rows(file)));
        }
        if !files.is_empty() {
            found.push((split.clone(), files));
        }
    }
    Ok(found)
}

fn named(data: &[String], name: &str) -> Vec<Splits> {
    let mut layouts = vec![
        house(data, name),
        exported(data, name),
        of_folder(data, name),
    ];
    if name == "default" {
        layouts.push(conventional(data));
    }
    layouts
}

fn unnamed(data: &[String]) -> Vec<Splits> {
    let mut layouts = vec![
        house(data, "default"),
        exported(data, "default"),
        house(data, ""),
    ];
    let configs = configs(data);
    match configs.as_slice() {
        _ if layouts.iter().any(|splits| !splits.is_empty()) => layouts.push(conventional(data)),
        [only] => layouts.extend([in_folders(data), house(data, only), exported(data, only)]),
        [] => layouts.push(conventional(data)),
        // Several folders are configs, unless they are named as splits.
        _ => layouts.push(in_folders(data)),
    }
    layouts
}

/// `<config>/<split>.<ending>` or `<config>/data/…`, shards numbered; of several formats the best, and whole files before
/// shards.
fn house(data: &[String], config: &str) -> Splits {
    let prefix = if config.is_empty() {
        String::new()
    } else {
        format!("{config}/")
    };
    let mut found: Vec<(String, usize, bool, String)> = Vec::new();
    for file in data {
        let Some(inside) = file.strip_prefix(&prefix) else {
            continue;
        };
        let name = inside.strip_prefix(DATA_FOLDER).unwrap_or(inside);
        let Some((format, stem)) = ending(name).filter(|_| !name.contains('/')) else {
            continue;
        };
        let (split, is_shard) = match split_shard(stem) {
            Some((split, _)) => (split, true),
            None => (stem, false),
        };
        found.push((split.to_owned(), format, is_shard, file.clone()));
    }
    found.sort();
    let mut splits: Vec<(String, usize, bool, Vec<String>)> = Vec::new();
    for (split, format, is_shard, file) in found {
        match splits.last_mut() {
            Some((known, best, sharded, files)) if *known == split => {
                if (*best, *sharded) == (format, is_shard) && is_shard {
                    files.push(file);
                }
            }
            _ => splits.push((split, format, is_shard, vec![file])),
        }
    }
    splits
        .into_iter()
        .map(|(split, _, _, files)| (split, files))
        .collect()
}

/// `<config>/<split>/0000.parquet`, as the hub's branch `refs/convert/parquet` has it; cut exports are `partial-<split>`.
fn exported(data: &[String], config: &str) -> Splits {
    let mut splits = Splits::new();
    for file in data {
        let parts: Vec<&str> = file.split('/').collect();
        let [of, split, name] = parts[..] else {
            continue;
        };
        let number = name.strip_suffix(".parquet").unwrap_or_default();
        if of != config || number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let split = split.strip_prefix("partial-").unwrap_or(split);
        match splits.iter_mut().find(|(known, _)| known == split) {
            Some((_, files)) => files.push(file.clone()),
            None => splits.push((split.to_owned(), vec![file.clone()])),
        }
    }
    splits
}

/// Folders of a data set that are laid out as configs.
fn configs(data: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (folder, _) in data.iter().filter_map(|file| file.split_once('/')) {
        if found.last().is_none_or(|last| last != folder)
            && !(house(data, folder).is_empty() && exported(data, folder).is_empty())
        {
            found.push(folder.to_owned());
        }
    }
    found
}

fn config_missing(
    repository: &Repository<'_>,
    card: &[CardConfig],
    data: &[String],
    config: Option<&str>,
) -> DataError {
    if let (false, Some(script)) = (repository.has_data(), repository.script()) {
        return DataError::Script {
            path: repository.dataset.to_owned(),
            script: script.to_owned(),
        };
    }
    let mut known: Vec<String> = card.iter().map(|config| config.name.clone()).collect();
    if card.is_empty() {
        known.extend(configs(data));
    }
    known.sort();
    known.dedup();
    let names = || known.iter().map(String::as_str);
    DataError::ConfigNotFound {
        path: repository.dataset.to_owned(),
        config: config.map_or_else(
            || "of the name `default`; choose one with dataset_name".to_owned(),
            |name| format!("`{name}`"),
        ),
        place: repository.place(),
        available: listing(names()),
        hint: config
            .map(|name| harness_spelling::hint(name, names()))
            .unwrap_or_default(),
    }
}
