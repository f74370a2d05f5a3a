//! Rows out of CSV, columns typed as pandas types them; refuses ragged rows.

use std::path::Path;

use csv::StringRecord;
use serde_json::Value;

use crate::options::{CsvOptions, Header};
use crate::{DataError, Document, Split, file_text};

/// Cells that pandas reads as missing.
const MISSING: [&str; 17] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "nan",
];

#[derive(Clone, Copy)]
enum ColumnType {
    Integer,
    Float,
    Boolean,
    Text,
}

/// Reads a CSV file; `separator` is what its name stands for.
pub(crate) fn read(path: &Path, separator: u8, options: &CsvOptions) -> Result<Split, DataError> {
    let text = file_text::read(path)?;
    let (columns, rows) = table(path, &text, separator, options)?;
    let is_missing = |cell: &str| {
        options.missing.iter().any(|missing| missing == cell)
            || options.default_missing && MISSING.contains(&cell)
    };
    let cells = |index| -> Vec<Option<&str>> {
        let column = rows.iter().map(|row| &row[index]);
        column
            .map(|cell| (!is_missing(cell)).then_some(cell))
            .collect()
    };
    let mut documents = vec![Document::new(); rows.len()];
    for (index, column) in columns.iter().enumerate() {
        let cells = cells(index);
        let column_type = column_type(&cells);
        for (document, cell) in documents.iter_mut().zip(cells) {
            let cell = cell.map_or(Value::Null, |cell| value(cell, column_type));
            document.insert(column.clone(), cell);
        }
    }
    Ok(Split { columns, documents })
}

/// Column names and rows.
fn table(
    path: &Path,
    text: &str,
    separator: u8,
    options: &CsvOptions,
) -> Result<(Vec<String>, Vec<StringRecord>), DataError> {
    let corrupt = |error: csv::Error| match error.position() {
        Some(position) => DataError::corrupt_line(
            path,
            position.line() + options.skip_rows as u64,
            error.to_string(),
        ),
        None => DataError::corrupt(path, error.to_string()),
    };
    let body: String = text.split_inclusive('\n').skip(options.skip_rows).collect();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(options.separator.unwrap_or(separator))
        .quoting(options.quote.is_some())
        .quote(options.quote.unwrap_or(b'"'))
        .escape(options.escape)
        .double_quote(options.double_quote)
        .comment(options.comment)
        .from_reader(body.as_bytes());
    let records = reader.records().collect::<Result<Vec<_>, _>>();
    let mut rows = records.map_err(corrupt)?.into_iter();
    let header = match (options.header, &options.names) {
        (Header::Line(line), _) => rows.nth(line),
        (Header::Infer, None) => rows.next(),
        (Header::Infer, Some(_)) | (Header::None, _) => None,
    };
    let rows: Vec<_> = rows.take(options.rows.unwrap_or(usize::MAX)).collect();
    let width = header
        .as_ref()
        .or(rows.first())
        .map_or(0, StringRecord::len);
    let columns = match (&options.names, header) {
        (Some(names), _) => names.clone(),
        (None, Some(header)) => header.iter().map(str::to_owned).collect(),
        (None, None) => (0..width).map(|index| index.to_string()).collect(),
    };
    check_columns(path, &columns, width)?;
    Ok((columns, rows))
}

fn check_columns(path: &Path, columns: &[String], width: usize) -> Result<(), DataError> {
    if columns.is_empty() {
        return Err(DataError::corrupt(
            path,
            "the file is empty; it needs a header line",
        ));
    }
    if columns.len() != width && width > 0 {
        let reason = format!("{} column names for {width} columns", columns.len());
        return Err(DataError::corrupt(path, reason));
    }
    let twice = (1..columns.len()).find(|&index| columns[..index].contains(&columns[index]));
    twice.map_or(Ok(()), |index| {
        let reason = format!("column `{}` occurs twice", columns[index]);
        Err(DataError::corrupt_line(path, 1, reason))
    })
}

/// The narrowest type of all cells; integers with gaps are floats, as pandas has no missing integer.
fn column_type(cells: &[Option<&str>]) -> ColumnType {
    let present = || cells.iter().flatten();
    if present().next().is_none() {
        ColumnType::Text
    } else if present().all(|cell| cell.trim().parse::<i64>().is_ok()) {
        if cells.contains(&None) {
            ColumnType::Float
        } else {
            ColumnType::Integer
        }
    } else if present().all(|cell| is_float(cell)) {
        ColumnType::Float
    } else if present().all(|cell| boolean(cell).is_some()) {
        ColumnType::Boolean
    } else {
        ColumnType::Text
    }
}

fn is_float(cell: &str) -> bool {
    cell.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}

fn value(cell: &str, column_type: ColumnType) -> Value {
    match column_type {
        ColumnType::Integer => cell
            .trim()
            .parse::<i64>()
            .map(Value::from)
            .unwrap_or_default(),
        ColumnType::Float => cell
            .trim()
            .parse::<f64>()
            .map(Value::from)
            .unwrap_or_default(),
        ColumnType::Boolean => boolean(cell).map(Value::from).unwrap_or_default(),
        ColumnType::Text => Value::from(cell),
    }
}
