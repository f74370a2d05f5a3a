//! Rows out of JSON Lines, a JSON array of objects, or below a key of one object; refuses rows that are not
//! objects.

use std::path::Path;

use serde_json::Value;

use crate::{DataError, Document, Split, file_text};

/// Reads a JSON file. A key that only some rows have is null in the others, as in an Arrow table.
///
/// With `field`, the file is one object, and the rows are the value of this key.
pub(crate) fn read(path: &Path, field: Option<&str>) -> Result<Split, DataError> {
    let text = file_text::read(path)?;
    let documents = match field {
        Some(field) => rows(path, of_field(path, &text, field)?)?,
        None if text.trim_start().starts_with('[') => rows(path, whole(path, &text)?)?,
        None => match serde_json::from_str(&text) {
            Ok(Value::Object(row)) => vec![row],
            _ => lines(path, &text)?,
        },
    };
    Ok(with_all_columns(documents))
}

fn whole(path: &Path, text: &str) -> Result<Value, DataError> {
    serde_json::from_str(text)
        .map_err(|error| DataError::corrupt_line(path, error.line() as u64, error.to_string()))
}

fn of_field(path: &Path, text: &str, field: &str) -> Result<Value, DataError> {
    let Value::Object(mut object) = whole(path, text)? else {
        let reason = format!("with `field: {field}` the file must be one object");
        return Err(DataError::corrupt(path, reason));
    };
    object.shift_remove(field).ok_or_else(|| {
        let known = || object.keys().map(String::as_str);
        let (hint, listed) = (
            harness_spelling::hint(field, known()),
            crate::error::listing(known()),
        );
        DataError::corrupt(
            path,
            format!("no key `{field}`{hint}; the file has {listed}"),
        )
    })
}

fn rows(path: &Path, value: Value) -> Result<Vec<Document>, DataError> {
    match value {
        Value::Array(rows) => {
            let row = |(index, row)| {
                object(row)
                    .map_err(|found| not_an_object(path, None, &format!("item {index} is {found}")))
            };
            rows.into_iter().enumerate().map(row).collect()
        }
        Value::Object(table) => columns(path, table),
        other => {
            let found = object(other).err().unwrap_or_default();
            Err(DataError::corrupt(
                path,
                format!("rows are a list of objects, and this is {found}"),
            ))
        }
    }
}

/// Rows of a table that is written by columns, lists of one length.
fn columns(path: &Path, table: Document) -> Result<Vec<Document>, DataError> {
    let mut documents = Vec::new();
    for (index, (column, cells)) in table.into_iter().enumerate() {
        let Value::Array(cells) = cells else {
            let reason =
                format!("the field's value is an object, and its `{column}` is no list of cells");
            return Err(DataError::corrupt(path, reason));
        };
        if index == 0 {
            documents.resize(cells.len(), Document::new());
        } else if cells.len() != documents.len() {
            let (found, wanted) = (cells.len(), documents.len());
            let reason =
                format!("column `{column}` has {found} cells where the first has {wanted}");
            return Err(DataError::corrupt(path, reason));
        }
        for (document, cell) in documents.iter_mut().zip(cells) {
            document.insert(column.clone(), cell);
        }
    }
    Ok(documents)
}

fn lines(path: &Path, text: &str) -> Result<Vec<Document>, DataError> {
    let numbered = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    numbered
        .map(|(index, line)| {
            let number = index as u64 + 1;
            let row: Value = serde_json::from_str(line).map_err(|error| {
                DataError::corrupt_line(
                    path,
                    number,
                    format!("not JSON at column {}: {error}", error.column()),
                )
            })?;
            object(row)
                .map_err(|found| not_an_object(path, Some(number), &format!("the row is {found}")))
        })
        .collect()
}

fn object(row: Value) -> Result<Document, &'static str> {
    match row {
        Value::Object(document) => Ok(document),
        Value::Array(_) => Err("an array"),
        Value::String(_) => Err("a string"),
        Value::Number(_) => Err("a number"),
        Value::Bool(_) => Err("a truth value"),
        Value::Null => Err("null"),
    }
}

fn not_an_object(path: &Path, line: Option<u64>, what: &str) -> DataError {
    let reason = format!("{what}, not an object with one key per column");
    match line {
        Some(line) => DataError::corrupt_line(path, line, reason),
        None => DataError::corrupt(path, reason),
    }
}

fn with_all_columns(documents: Vec<Document>) -> Split {
    let mut template = Document::new();
    for key in documents.iter().flat_map(Document::keys) {
        if !template.contains_key(key) {
            template.insert(key.clone(), Value::Null);
        }
    }
    let fill = |mut document: Document| {
        let mut row = template.clone();
        row.append(&mut document);
        row
    };
    Split {
        columns: template.keys().cloned().collect(),
        documents: documents.into_iter().map(fill).collect(),
    }
}
