//! Columns of numbers, texts and lists as a Parquet file. Knows no samples and no experiments, only cells.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

/// A column's values, one a row.
pub(crate) enum Values {
    Integers(Vec<i64>),
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
    /// As [`Values::Texts`], each of them JSON.
    Json(Vec<Option<String>>),
    NumberLists(Vec<Vec<f64>>),
    FlagLists(Vec<Vec<bool>>),
    TextLists(Vec<Vec<String>>),
}

/// A named column.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) values: Values,
}

/// The file's contents; all columns are of the same length.
///
/// # Errors
/// Where the Parquet writer refuses them.
pub(crate) fn parquet_table(name: &str, columns: &[Column]) -> Result<Vec<u8>> {
    let fields = columns.iter().map(Column::field).collect::<Result<_>>()?;
    let schema = Type::group_type_builder(name).with_fields(fields);
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression);
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(
        &mut file,
        Arc::new(schema.build()?),
        Arc::new(properties.build()),
    )?;
    let mut rows = writer.next_row_group()?;
    for column in columns {
        if let Some(mut place) = rows.next_column()? {
            column.values.write(&mut place)?;
            place.close()?;
        }
    }
    rows.close()?;
    writer.close()?;
    Ok(file)
}

impl Column {
    /// What is nullable is a metric or settings that a document may lack; lists are never null, only empty.
    fn field(&self) -> Result<TypePtr> {
        let name = self.name.as_str();
        let required = Repetition::REQUIRED;
        let text = Some(LogicalType::String);
        let field = match &self.values {
            Values::Integers(_) => leaf(name, Physical::INT64, required, None)?,
            Values::Numbers(_) => leaf(name, Physical::DOUBLE, Repetition::OPTIONAL, None)?,
            Values::Texts(_) => leaf(name, Physical::BYTE_ARRAY, Repetition::OPTIONAL, text)?,
            Values::Json(_) => {
                let json = Some(LogicalType::Json);
                leaf(name, Physical::BYTE_ARRAY, Repetition::OPTIONAL, json)?
            }
            Values::NumberLists(_) => list(name, Physical::DOUBLE, None)?,
            Values::FlagLists(_) => list(name, Physical::BOOLEAN, None)?,
            Values::TextLists(_) => list(name, Physical::BYTE_ARRAY, text)?,
        };
        Ok(Arc::new(field))
    }
}

fn leaf(
    name: &str,
    physical: Physical,
    repetition: Repetition,
    logical: Option<LogicalType>,
) -> Result<Type> {
    Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()
}

/// The three levels that the format prescribes for a list.
fn list(name: &str, physical: Physical, logical: Option<LogicalType>) -> Result<Type> {
    let element = leaf("element", physical, Repetition::REQUIRED, logical)?;
    let repeated = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element)])
        .build()?;
    Type::group_type_builder(name)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(repeated)])
        .build()
}

impl Values {
    fn write(&self, place: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Self::Integers(values) => {
                let writer = place.typed::<Int64Type>();
                writer.write_batch(values, None, None)?;
            }
            Self::Numbers(values) => {
                let present: Vec<f64> = values.iter().copied().flatten().collect();
                let levels = definition(values);
                let writer = place.typed::<DoubleType>();
                writer.write_batch(&present, Some(&levels), None)?;
            }
            Self::Texts(values) | Self::Json(values) => {
                let present = values.iter().flatten().map(|text| bytes(text));
                let (present, levels) = (present.collect::<Vec<_>>(), definition(values));
                let writer = place.typed::<ByteArrayType>();
                writer.write_batch(&present, Some(&levels), None)?;
            }
            Self::NumberLists(lists) => {
                let (definition, repetition) = levels(lists);
                let writer = place.typed::<DoubleType>();
                writer.write_batch(&lists.concat(), Some(&definition), Some(&repetition))?;
            }
            Self::FlagLists(lists) => {
                let (definition, repetition) = levels(lists);
                let writer = place.typed::<BoolType>();
                writer.write_batch(&lists.concat(), Some(&definition), Some(&repetition))?;
            }
            Self::TextLists(lists) => {
                let (definition, repetition) = levels(lists);
                let texts: Vec<ByteArray> =
                    lists.iter().flatten().map(|text| bytes(text)).collect();
                let writer = place.typed::<ByteArrayType>();
                writer.write_batch(&texts, Some(&definition), Some(&repetition))?;
            }
        }
        Ok(())
    }
}

fn bytes(text: &str) -> ByteArray {
    text.as_bytes().to_vec().into()
}

/// 1 where there is a value.
fn definition<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|value| value.is_some().into()).collect()
}

/// Definition and repetition levels of lists: an empty one is an entry without a value, and the first of a list repeats nothing.
fn levels<T>(lists: &[Vec<T>]) -> (Vec<i16>, Vec<i16>) {
    let mut levels = (Vec::new(), Vec::new());
    for list in lists {
        for place in 0..list.len().max(1) {
            levels.0.push((!list.is_empty()).into());
            levels.1.push((place > 0).into());
        }
    }
    levels
}
