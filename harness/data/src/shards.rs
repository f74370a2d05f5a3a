//! Shards of a split, by the numbers in their file names; refuses a split that lacks one.

use crate::DataError;
use crate::tables::ending;

/// A part of a split.
pub(crate) struct Shard {
    pub(crate) number: usize,
    /// Of how many, where the name says it.
    pub(crate) of: Option<usize>,
}

/// `train-00001-of-00003-9fa2` into `train` and shard 1 of 3.
pub(crate) fn split_shard(stem: &str) -> Option<(&str, Shard)> {
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

/// Files whose names differ in their numbers only.
struct Series<'a> {
    key: String,
    members: Vec<(usize, &'a String)>,
    announced: Option<usize>,
}

/// Files of a split in the order of their numbers, folder by folder.
///
/// # Errors
/// Where a folder has fewer shards of a name than the names announce.
pub(crate) fn shards_in_order(
    split: &str,
    place: &str,
    files: &[String],
) -> Result<Vec<String>, DataError> {
    let mut series: Vec<Series<'_>> = Vec::new();
    for file in files {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let stem = ending(name).map_or(name, |(_, stem)| stem);
        let (key, number, of) = match split_shard(stem) {
            Some((base, shard)) => (format!("{folder}/{base}"), shard.number, shard.of),
            None => (file.clone(), 0, None),
        };
        if let Some(of_key) = series.iter_mut().find(|series| series.key == key) {
            of_key.members.push((number, file));
            of_key.announced = of.max(of_key.announced);
        } else {
            series.push(Series {
                key,
                members: vec![(number, file)],
                announced: of,
            });
        }
    }
    let mut ordered = Vec::new();
    for Series {
        mut members,
        announced,
        ..
    } in series
    {
        let found = members.len();
        if let Some(expected) = announced.filter(|&expected| expected != found) {
            return Err(DataError::ShardMissing {
                split: split.to_owned(),
                place: place.to_owned(),
                expected,
                found,
            });
        }
        members.sort();
        ordered.extend(members.into_iter().map(|(_, file)| file.clone()));
    }
    Ok(ordered)
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
