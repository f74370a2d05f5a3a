//! Files of one split as one table: formats by builder or file name, shards end to end, and of these only the rows and
//! columns that are asked for. Refuses files of one split whose columns differ.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::listing;
use crate::file_text::COMPRESSIONS;
use crate::options::ReadingOptions;
use crate::parquet_rows::ParquetFile;
use crate::split_expression::Term;
use crate::{DataError, Selection, Split, csv_table, json_rows, text_rows};

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Json,
    Csv,
    /// Tab-separated.
    Tsv,
    Text,
}

/// The formats by the endings of file names, best first: where a split is there in several, the first is read.
pub(crate) const ENDINGS: [(&str, Format); 8] = [
    (".parquet", Format::Parquet),
    (".geoparquet", Format::Parquet),
    (".jsonl", Format::Json),
    (".ndjson", Format::Json),
    (".json", Format::Json),
    (".csv", Format::Csv),
    (".tsv", Format::Tsv),
    (".txt", Format::Text),
];

/// Names of `dataset_path` that mean "read these files", as in Hugging Face's library.
pub(crate) const BUILDERS: [(&str, Format); 4] = [
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("parquet", Format::Parquet),
    ("text", Format::Text),
];

/// The place of a file name's ending in [`ENDINGS`], and the name without it.
pub(crate) fn ending(name: &str) -> Option<(usize, &str)> {
    let plain = COMPRESSIONS
        .iter()
        .find_map(|compression| name.strip_suffix(compression));
    let plain_name = plain.unwrap_or(name);
    let endings = ENDINGS.iter().enumerate();
    let mut found = endings.filter_map(|(at, (ending, format))| {
        let stem = plain_name.strip_suffix(ending)?;
        // Parquet compresses by itself.
        (plain.is_none() || *format != Format::Parquet).then_some((at, stem))
    });
    found.next()
}

/// The files of a term of a split expression, and how to read them.
pub(crate) struct Source<'a> {
    pub(crate) term: &'a Term,
    pub(crate) files: Vec<String>,
    /// The builder's format; without one, file names tell.
    pub(crate) format: Option<Format>,
    pub(crate) reading: ReadingOptions,
}

impl Source<'_> {
    /// Reads the term's rows, `limit` of them at most. `open` turns names into files on disk, and is not called for files
    /// that hold none of the rows.
    pub(crate) fn read(
        &self,
        selection: &Selection<'_>,
        limit: usize,
        open: &dyn Fn(&str) -> Result<PathBuf, DataError>,
    ) -> Result<Split, DataError> {
        let table = |name: &String| Table::open(&open(name)?, self.format, &self.reading);
        let mut opened = Vec::new();
        let range = if let Some(range) = self.term.range_without_count() {
            range
        } else {
            opened = self.files.iter().map(table).collect::<Result<_, _>>()?;
            let count = opened.iter().map(Table::count).sum::<Result<usize, _>>()?;
            self.term.range(count)?
        };
        let range = range.start..range.end.min(range.start.saturating_add(limit));
        let mut opened = opened.into_iter();
        let mut whole = Joined::default();
        let mut start = 0;
        for name in &self.files {
            if start >= range.end && whole.split.is_some() {
                break;
            }
            let table = match opened.next() {
                Some(table) => table,
                None => table(name)?,
            };
            let end = start + table.count()?;
            let inside = range.start.clamp(start, end) - start..range.end.clamp(start, end) - start;
            whole.append(table, inside, selection)?;
            start = end;
        }
        Ok(whole.split.unwrap_or_default())
    }
}

/// One opened file.
struct Table {
    path: PathBuf,
    content: Content,
}

enum Content {
    /// Rows still on disk.
    Parquet(Box<ParquetFile>),
    Rows(Split),
}

impl Table {
    fn open(
        path: &Path,
        format: Option<Format>,
        reading: &ReadingOptions,
    ) -> Result<Self, DataError> {
        let name = path.to_string_lossy();
        let of_name = || ending(&name).map(|(at, _)| ENDINGS[at].1);
        let Some(format) = format.or_else(of_name) else {
            let known = listing(ENDINGS.iter().map(|(ending, _)| *ending));
            return Err(DataError::corrupt(
                path,
                format!("unknown file type; known are {known}"),
            ));
        };
        let content = match format {
            Format::Parquet => Content::Parquet(Box::new(ParquetFile::open(path)?)),
            Format::Json => Content::Rows(json_rows::read(path, reading.field.as_deref())?),
            Format::Csv => Content::Rows(csv_table::read(path, b',', &reading.csv)?),
            Format::Tsv => Content::Rows(csv_table::read(path, b'\t', &reading.csv)?),
            Format::Text => Content::Rows(text_rows::read(path, reading.text)?),
        };
        Ok(Self {
            path: path.to_owned(),
            content,
        })
    }

    fn count(&self) -> Result<usize, DataError> {
        match &self.content {
            Content::Parquet(file) => file.count(),
            Content::Rows(split) => Ok(split.documents.len()),
        }
    }

    fn columns(&self) -> Vec<String> {
        match &self.content {
            Content::Parquet(file) => file.columns(),
            Content::Rows(split) => split.columns.clone(),
        }
    }

    fn read(self, rows: Range<usize>, columns: Vec<String>) -> Result<Split, DataError> {
        match self.content {
            Content::Parquet(file) => file.read(rows, &columns),
            Content::Rows(split) => {
                let all = columns.len() == split.columns.len();
                let documents = split
                    .documents
                    .into_iter()
                    .skip(rows.start)
                    .take(rows.len());
                let documents = documents.map(|mut document| {
                    if !all {
                        document.retain(|name, _| columns.contains(name));
                    }
                    document
                });
                Ok(Split {
                    documents: documents.collect(),
                    columns,
                })
            }
        }
    }
}

/// Tables end to end.
#[derive(Default)]
pub(crate) struct Joined {
    pub(crate) split: Option<Split>,
    /// The columns of the first file, before any are chosen, and its name.
    first: Option<(Vec<String>, String)>,
}

impl Joined {
    fn append(
        &mut self,
        table: Table,
        rows: Range<usize>,
        selection: &Selection<'_>,
    ) -> Result<(), DataError> {
        let (columns, path) = (table.columns(), table.path.clone());
        match &self.first {
            None => self.first = Some((columns.clone(), path.display().to_string())),
            Some((first, file)) if by_name(first) != by_name(&columns) => {
                return Err(DataError::corrupt(&path, differing(&columns, first, file)));
            }
            Some(_) => {}
        }
        let chosen = chosen(&path, columns, selection)?;
        self.extend(table.read(rows, chosen)?);
        Ok(())
    }

    fn extend(&mut self, next: Split) {
        match &mut self.split {
            None => self.split = Some(next),
            Some(whole) => whole.documents.extend(next.documents),
        }
    }
}

/// Splits that were read one by one, as one.
pub(crate) fn concatenate(expression: &str, splits: Vec<Split>) -> Result<Split, DataError> {
    let mut splits = splits.into_iter();
    let mut whole = splits.next().unwrap_or_default();
    for next in splits {
        if by_name(&next.columns) != by_name(&whole.columns) {
            return Err(DataError::BadSplit {
                expression: expression.to_owned(),
                reason: differing(&next.columns, &whole.columns, "the first split"),
            });
        }
        whole.documents.extend(next.documents);
    }
    Ok(whole)
}

fn differing(columns: &[String], first: &[String], file: &str) -> String {
    let names = |columns: &[String]| listing(columns.iter().map(String::as_str));
    format!(
        "columns {} differ from {} in {file}",
        names(columns),
        names(first)
    )
}

fn chosen(
    path: &Path,
    columns: Vec<String>,
    selection: &Selection<'_>,
) -> Result<Vec<String>, DataError> {
    let Some(wanted) = selection.columns else {
        return Ok(columns);
    };
    let known = || columns.iter().map(String::as_str);
    if let Some(unknown) = wanted
        .iter()
        .find(|name| !known().any(|known| known == **name))
    {
        let hint = harness_spelling::hint(unknown, known());
        let reason = format!(
            "no column `{unknown}`{hint}; there are {}",
            listing(known())
        );
        return Err(DataError::corrupt(path, reason));
    }
    Ok(columns
        .into_iter()
        .filter(|name| wanted.contains(&name.as_str()))
        .collect())
}

fn by_name(columns: &[String]) -> BTreeSet<&str> {
    columns.iter().map(String::as_str).collect()
}
