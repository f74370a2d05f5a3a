//! Rows out of plain text, one column `text`, cut as Hugging Face's `text` builder cuts it; refuses what is not UTF-8.

use std::path::Path;

use crate::options::{SampleBy, TextOptions};
use crate::{DataError, Document, Split, file_text};

const COLUMN: &str = "text";

/// Reads a text file; `\r\n` and `\r` are line breaks as `\n` is, as in Python's text mode.
pub(crate) fn read(path: &Path, options: TextOptions) -> Result<Split, DataError> {
    let text = file_text::read(path)?
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let samples: Vec<&str> = match options.sample_by {
        SampleBy::Document => vec![&text],
        SampleBy::Paragraph => text.split("\n\n").filter(|part| !part.is_empty()).collect(),
        SampleBy::Line if options.keep_linebreaks => text.split_inclusive('\n').collect(),
        SampleBy::Line => text.split_terminator('\n').collect(),
    };
    let row = |sample: &str| Document::from_iter([(COLUMN.to_owned(), sample.into())]);
    Ok(Split {
        columns: vec![COLUMN.to_owned()],
        documents: samples.into_iter().map(row).collect(),
    })
}
