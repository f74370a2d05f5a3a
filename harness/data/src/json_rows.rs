//! Rows out of JSON Lines, or out of a JSON array of objects; refuses rows that are not objects.

use std::path::Path;

use serde_json::Value;

use crate::{DataError, Document, Split};

/// Reads a `.json` or `.jsonl` file. A key that only some rows have is null in the others, as in an Arrow table.
pub(crate) fn read(path: &Path) -> Result<Split, DataError> {
    let text = std::fs::read_to_string(path).map_err(DataError::io(path))?;
    let text = text.trim_start_matches('\u{feff}');
    let documents = if text.trim_start().starts_with('[') {
        array(path, text)?
    } else {
        lines(path, text)?
    };
    Ok(with_all_columns(documents))
}

fn array(path: &Path, text: &str) -> Result<Vec<Document>, DataError> {
    let rows: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| DataError::corrupt_line(path, error.line() as u64, error.to_string()))?;
    rows.into_iter()
        .enumerate()
        .map(|(index, row)| {
            object(row)
                .map_err(|found| not_an_object(path, None, &format!("item {index} is {found}")))
        })
        .collect()
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
