//! Rows out of Parquet through the row interface, nested lists and structs included; refuses files it cannot decode
//! in full.

use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Number, Value};

use crate::{DataError, Document, Split};

/// Reads a `.parquet` file. Floats that are not finite become null, which JSON has instead; binary data become lists of
/// byte values; decimals, dates and times become text.
pub(crate) fn read(path: &Path) -> Result<Split, DataError> {
    let corrupt = |error| DataError::corrupt(path, format!("not a readable Parquet file: {error}"));
    let file = File::open(path).map_err(DataError::io(path))?;
    let reader = SerializedFileReader::new(file).map_err(corrupt)?;
    let schema = reader.metadata().file_metadata().schema();
    let columns = schema
        .get_fields()
        .iter()
        .map(|field| field.name().to_owned())
        .collect();
    let rows = reader.get_row_iter(None).map_err(corrupt)?;
    let documents = rows
        .map(|row| row.map(document).map_err(corrupt))
        .collect::<Result<_, _>>()?;
    Ok(Split { columns, documents })
}

fn document(row: Row) -> Document {
    row.into_columns()
        .into_iter()
        .map(|(name, field)| (name, value(&field)))
        .collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float16(value) => float(f64::from(*value)),
        Field::Float(value) => float(f64::from(*value)),
        Field::Double(value) => float(*value),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => bytes.data().into(),
        Field::Group(row) => row
            .get_column_iter()
            .map(|(name, field)| (name.clone(), value(field)))
            .collect::<Document>()
            .into(),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => map
            .entries()
            .iter()
            .map(|(key, field)| (text_key(key), value(field)))
            .collect::<Document>()
            .into(),
        Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => field.to_string().into(),
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn text_key(key: &Field) -> String {
    match key {
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}
