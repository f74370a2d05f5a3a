//! File patterns of data sets: globs as Hugging Face's `datasets` resolves them, and the names by which it knows the
//! splits of a repository without a card. Refuses no names; files that cannot be read are not among those it gets.

use glob::{MatchOptions, Pattern, PatternError};

/// Splits, and the words that stand for them in file and folder names (`datasets`, `data_files.py`).
const KEYWORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// What may stand around such a word.
const SEPARATORS: &str = "-._ 0-9";

const IN_FOLDER_NAME: [&str; 4] = [
    "**/{word}/**",
    "**/{word}[{sep}]*/**",
    "**/*[{sep}]{word}/**",
    "**/*[{sep}]{word}[{sep}]*/**",
];
const IN_FILE_NAME: [&str; 2] = ["**/{word}[{sep}]*", "**/*[{sep}]{word}[{sep}]*"];

/// Files that hold no rows.
pub(crate) const NO_DATA: [&str; 5] = [
    "README.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
];

/// As a shell matches: no star reaches over a slash.
pub(crate) const SHELL: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Split name to files, splits in the order in which they are found.
pub(crate) type Splits = Vec<(String, Vec<String>)>;

/// The files that a pattern means, in their order.
pub(crate) fn matching(pattern: &str, files: &[String]) -> Result<Vec<String>, PatternError> {
    let pattern = pattern.trim_start_matches("./");
    let compiled = Pattern::new(pattern)?;
    let mut found: Vec<String> = (files.iter())
        .filter(|file| compiled.matches_with(file, SHELL) && !is_hidden(file, pattern))
        .cloned()
        .collect();
    found.sort();
    Ok(found)
}

/// Files and folders whose names begin with a dot or two underscores are meant only by patterns that say so.
fn is_hidden(file: &str, pattern: &str) -> bool {
    let hidden = |path: &str| {
        let names = path.split('/');
        names
            .filter(|name| name.starts_with('.') || name.starts_with("__"))
            .count()
    };
    hidden(file) != hidden(pattern)
}

/// The splits of a repository by the names of its files: `data/<split>-00000-of-00001…`, else folders named as splits, else
/// files named as splits, else all files as `train`.
pub(crate) fn conventional(files: &[String]) -> Splits {
    [sharded, in_folders, in_file_names, all_as_train]
        .iter()
        .map(|convention| convention(files))
        .find(|splits| !splits.is_empty())
        .unwrap_or_default()
}

fn sharded(files: &[String]) -> Splits {
    let digits = "[0-9][0-9][0-9][0-9][0-9]";
    let pattern = format!("data/*-{digits}-of-{digits}*.*");
    let mut splits = Splits::new();
    for file in matching(&pattern, files).unwrap_or_default() {
        let name = file.trim_start_matches("data/");
        let end = name.find("-of-").map_or(0, |at| at.saturating_sub(6));
        let split = name[..end].to_owned();
        match splits.iter_mut().find(|(known, _)| *known == split) {
            Some((_, of_split)) => of_split.push(file),
            None => splits.push((split, vec![file])),
        }
    }
    splits
}

/// Files in folders that are named as splits.
pub(crate) fn in_folders(files: &[String]) -> Splits {
    by_keyword(&IN_FOLDER_NAME, files)
}

fn in_file_names(files: &[String]) -> Splits {
    by_keyword(&IN_FILE_NAME, files)
}

fn all_as_train(files: &[String]) -> Splits {
    match matching("**", files).unwrap_or_default() {
        none if none.is_empty() => Splits::new(),
        all => vec![("train".to_owned(), all)],
    }
}

fn by_keyword(patterns: &[&str], files: &[String]) -> Splits {
    let of_split = |words: &[&str]| {
        let mut found: Vec<String> = Vec::new();
        for word in words {
            for pattern in patterns {
                let pattern = pattern.replace("{word}", word).replace("{sep}", SEPARATORS);
                let matched = matching(&pattern, files).unwrap_or_default();
                found.extend(
                    matched
                        .into_iter()
                        .filter(|file| !found.contains(file))
                        .collect::<Vec<_>>(),
                );
            }
        }
        found
    };
    let splits = KEYWORDS
        .iter()
        .map(|(split, words)| ((*split).to_owned(), of_split(words)));
    splits.filter(|(_, files)| !files.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::{conventional, matching};

    fn files(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn stars_stop_at_slashes_and_two_do_not() {
        let all = files(&["a.csv", "d/b.csv", "d/e/c.csv", "d/.x.csv", "__x/b.csv"]);
        for (pattern, want) in [
            ("*.csv", vec!["a.csv"]),
            ("./a.csv", vec!["a.csv"]),
            ("*/*.csv", vec!["d/b.csv"]),
            ("**/*.csv", vec!["a.csv", "d/b.csv", "d/e/c.csv"]),
            ("d/**", vec!["d/b.csv", "d/e/c.csv"]),
            ("d/.x.csv", vec!["d/.x.csv"]),
            ("[a-b].csv", vec!["a.csv"]),
            ("?/b.csv", vec!["d/b.csv"]),
            ("e.csv", vec![]),
        ] {
            assert_eq!(matching(pattern, &all).unwrap(), want, "{pattern}");
        }
        assert!(matching("**.csv", &all).is_err());
    }

    /// What `datasets` 5.2.0 finds in folders with these files.
    #[test]
    fn splits_are_found_by_name() {
        type Found<'a> = &'a [(&'a str, &'a [&'a str])];
        let cases: [(&[&str], Found<'_>); 6] = [
            (
                &[
                    "data/odd-00001-of-00002-ab.parquet",
                    "data/odd-00000-of-00002-cd.parquet",
                    "x/test.csv",
                ],
                &[(
                    "odd",
                    &[
                        "data/odd-00000-of-00002-cd.parquet",
                        "data/odd-00001-of-00002-ab.parquet",
                    ],
                )],
            ),
            (
                &["train/0.csv", "my_dev/0.csv", "test.csv"],
                &[
                    ("train", &["train/0.csv"]),
                    ("validation", &["my_dev/0.csv"]),
                ],
            ),
            (
                &[
                    "squad_train_v1.json",
                    "dev-v1.json",
                    "sub/eval.json",
                    "latest.json",
                ],
                &[
                    ("train", &["squad_train_v1.json"]),
                    ("validation", &["dev-v1.json"]),
                    ("test", &["sub/eval.json"]),
                ],
            ),
            (&["a.csv", "b/c.csv"], &[("train", &["a.csv", "b/c.csv"])]),
            (
                &["val0.csv", "validation.csv"],
                &[("validation", &["validation.csv", "val0.csv"])],
            ),
            (&[], &[]),
        ];
        for (names, want) in cases {
            let want: Vec<_> = (want.iter())
                .map(|(split, of_split)| ((*split).to_owned(), files(of_split)))
                .collect();
            assert_eq!(conventional(&files(names)), want, "{names:?}");
        }
    }
}
