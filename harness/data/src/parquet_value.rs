//! A Parquet cell as the JSON value that stands for what `datasets` would hand to Python: times, decimals and bytes become
//! the text that Python's `str` gives them. Refuses nothing; floats that are not finite become null, which JSON has instead.

use std::fmt::Write;

use chrono::{DateTime, NaiveDateTime};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::record::Field;
use parquet::schema::types::Type;
use serde_json::{Number, Value};

use crate::Document;

const NANOS_PER_MICRO: i64 = 1_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Converts a cell of a column of this type.
pub(crate) fn value(cell: Field, column: &Type) -> Value {
    match cell {
        Field::Null => Value::Null,
        Field::Bool(value) => value.into(),
        Field::Byte(value) => value.into(),
        Field::Short(value) => value.into(),
        Field::Int(value) => value.into(),
        Field::Long(value) => long(value, column),
        Field::UByte(value) => value.into(),
        Field::UShort(value) => value.into(),
        Field::UInt(value) => value.into(),
        Field::ULong(value) => value.into(),
        Field::Float16(value) => float(f64::from(value)),
        Field::Float(value) => float(f64::from(value)),
        Field::Double(value) => float(value),
        Field::Str(text) => text.into(),
        Field::Bytes(bytes) => python_bytes(bytes.data()).into(),
        Field::Decimal(_) => cell.to_string().into(),
        Field::Date(days) => moment(i64::from(days) * SECONDS_PER_DAY, 0)
            .map(|moment| moment.date().to_string())
            .into(),
        Field::TimeMillis(millis) => time(i64::from(millis), NANOS_PER_MILLI),
        Field::TimeMicros(micros) => time(micros, NANOS_PER_MICRO),
        Field::TimestampMillis(millis) => timestamp(millis, NANOS_PER_MILLI, column),
        Field::TimestampMicros(micros) => timestamp(micros, NANOS_PER_MICRO, column),
        Field::Group(row) => {
            let cells = row.into_columns().into_iter();
            let cells = cells.map(|(name, cell)| {
                let field = child(column, &name);
                (name, value(cell, field))
            });
            cells.collect::<Document>().into()
        }
        Field::ListInternal(list) => {
            let (element, items) = (element(column), list.elements());
            items
                .iter()
                .map(|item| value(item.clone(), element))
                .collect()
        }
        Field::MapInternal(map) => {
            let values = map_value(column);
            let entries = map.entries().iter();
            let entries = entries.map(|(key, cell)| (text_key(key), value(cell.clone(), values)));
            entries.collect::<Document>().into()
        }
    }
}

/// The row interface hands nanoseconds out as plain numbers.
fn long(number: i64, column: &Type) -> Value {
    match column.get_basic_info().logical_type_ref() {
        Some(LogicalType::Timestamp(of)) if of.unit == TimeUnit::NANOS => {
            timestamp(number, 1, column)
        }
        Some(LogicalType::Time(of)) if of.unit == TimeUnit::NANOS => time(number, 1),
        _ => number.into(),
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn moment(seconds: i64, nanos: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(seconds, nanos as u32).map(|moment| moment.naive_utc())
}

/// A time of day, `12:34:56.789000`.
fn time(ticks: i64, nanos_per_tick: i64) -> Value {
    let per_second = NANOS_PER_SECOND / nanos_per_tick;
    let (seconds, rest) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    let nanos = rest * nanos_per_tick;
    let text = moment(seconds, nanos);
    text.map(|moment| moment.format("%H:%M:%S").to_string() + &fraction(nanos))
        .into()
}

/// A point in time, `2020-01-02 03:04:05.000678`, with `+00:00` where the column counts from an instant.
fn timestamp(ticks: i64, nanos_per_tick: i64, column: &Type) -> Value {
    let per_second = NANOS_PER_SECOND / nanos_per_tick;
    let (seconds, rest) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    let nanos = rest * nanos_per_tick;
    let zone = if is_instant(column) { "+00:00" } else { "" };
    let text = moment(seconds, nanos);
    text.map(|moment| moment.format("%Y-%m-%d %H:%M:%S").to_string() + &fraction(nanos) + zone)
        .into()
}

/// Python writes microseconds or nothing, pandas nanoseconds where there are some.
fn fraction(nanos: i64) -> String {
    match (nanos, nanos % NANOS_PER_MICRO) {
        (0, _) => String::new(),
        (nanos, 0) => format!(".{:06}", nanos / NANOS_PER_MICRO),
        (nanos, _) => format!(".{nanos:09}"),
    }
}

/// Files from before logical types count from an instant; of the 96-bit timestamps nobody says.
fn is_instant(column: &Type) -> bool {
    let info = column.get_basic_info();
    match info.logical_type_ref() {
        Some(LogicalType::Timestamp(of)) => of.is_adjusted_to_u_t_c,
        _ => matches!(
            info.converted_type(),
            ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS
        ),
    }
}

/// Python's `repr` of bytes.
fn python_bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut text = format!("b{quote}");
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            _ if char::from(byte) == quote => text.extend(['\\', quote]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push(quote);
    text
}

fn child<'a>(group: &'a Type, name: &str) -> &'a Type {
    if group.is_primitive() {
        return group;
    }
    let found = group.get_fields().iter().find(|field| field.name() == name);
    found.map_or(group, |field| field)
}

/// The type of a list's elements: below its repeated field, or that field itself in the older forms.
fn element(list: &Type) -> &Type {
    match list {
        Type::GroupType { fields, .. } if fields.len() == 1 => match fields[0].as_ref() {
            Type::GroupType { fields, .. } if fields.len() == 1 => &fields[0],
            repeated => repeated,
        },
        _ => list,
    }
}

/// The type of a map's values, in its repeated group of key and value.
fn map_value(map: &Type) -> &Type {
    match map {
        Type::GroupType { fields, .. } if fields.len() == 1 && fields[0].is_group() => {
            fields[0].get_fields().get(1).map_or(map, |field| field)
        }
        _ => map,
    }
}

fn text_key(key: &Field) -> String {
    match key {
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}
