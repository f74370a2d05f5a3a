//! Rows out of CSV with a header line, columns typed as pandas types them; refuses ragged rows.

use std::path::Path;

use serde_json::Value;

use crate::{DataError, Document, Split};

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

/// Reads a `.csv` file.
pub(crate) fn read(path: &Path) -> Result<Split, DataError> {
    let corrupt = |error: csv::Error| match error.position() {
        Some(position) => DataError::corrupt_line(path, position.line(), error.to_string()),
        None => DataError::corrupt(path, error.to_string()),
    };
    let mut reader = csv::Reader::from_path(path).map_err(corrupt)?;
    let columns: Vec<String> = reader
        .headers()
        .map_err(corrupt)?
        .iter()
        .map(str::to_owned)
        .collect();
    if let Some(index) =
        (1..columns.len()).find(|&index| columns[..index].contains(&columns[index]))
    {
        return Err(DataError::corrupt_line(
            path,
            1,
            format!("column `{}` occurs twice", columns[index]),
        ));
    }
    let rows = reader
        .records()
        .collect::<Result<Vec<_>, _>>()
        .map_err(corrupt)?;
    let types: Vec<ColumnType> = (0..columns.len())
        .map(|index| column_type(&rows.iter().map(|row| &row[index])))
        .collect();
    let document = |row: &csv::StringRecord| -> Document {
        let cells = columns.iter().zip(row).zip(&types);
        cells
            .map(|((column, cell), &column_type)| (column.clone(), value(cell, column_type)))
            .collect()
    };
    let documents = rows.iter().map(document).collect();
    Ok(Split { columns, documents })
}

/// The narrowest type of all cells; integers with gaps are floats, as pandas has no missing integer.
fn column_type<'a>(cells: &(impl Iterator<Item = &'a str> + Clone)) -> ColumnType {
    let present = || cells.clone().filter(|cell| !MISSING.contains(cell));
    let gaps = cells.clone().any(|cell| MISSING.contains(&cell));
    if present().next().is_none() {
        ColumnType::Text
    } else if present().all(|cell| cell.trim().parse::<i64>().is_ok()) {
        if gaps {
            ColumnType::Float
        } else {
            ColumnType::Integer
        }
    } else if present().all(is_float) {
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
    if MISSING.contains(&cell) {
        return Value::Null;
    }
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
