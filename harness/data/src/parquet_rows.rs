//! Rows out of Parquet through the row interface: only the row groups and columns that are asked for are decoded.
//! Refuses files that do not hold what their footer says.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{ConvertedType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{Type, TypePtr};

use crate::parquet_value::value;
use crate::{DataError, Document, Split};

/// An open file: its footer is read, its rows are not.
pub(crate) struct ParquetFile {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    schema: Type,
}

impl ParquetFile {
    /// Opens a file. Columns of pictures and sound (structs of `bytes` and `path`) are left out, at any depth: JSON has no
    /// bytes, and a template that asks for one is told that there is no such column.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io(path))?;
        let reader = SerializedFileReader::new(file).map_err(unreadable(path))?;
        let whole = reader.metadata().file_metadata().schema();
        let fields = whole.get_fields().iter().filter_map(without_media);
        let schema = group_like(whole, fields.collect()).map_err(unreadable(path))?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            schema,
        })
    }

    pub(crate) fn count(&self) -> Result<usize, DataError> {
        let groups = self.reader.metadata().row_groups().iter();
        let mut count = groups.map(|group| usize::try_from(group.num_rows()).ok());
        let count = count.try_fold(0_usize, |sum, rows| sum.checked_add(rows?));
        count.ok_or_else(|| {
            DataError::corrupt(&self.path, "the footer has a negative count of rows")
        })
    }

    pub(crate) fn columns(&self) -> Vec<String> {
        let fields = self.schema.get_fields().iter();
        fields.map(|field| field.name().to_owned()).collect()
    }

    /// Reads rows of these columns, which the file has.
    pub(crate) fn read(&self, rows: Range<usize>, columns: &[String]) -> Result<Split, DataError> {
        let chosen = columns.iter().filter_map(|name| self.field(name)).collect();
        let projection = group_like(&self.schema, chosen).map_err(unreadable(&self.path))?;
        let mut documents = Vec::new();
        let mut start = 0;
        for (index, group) in self.reader.metadata().row_groups().iter().enumerate() {
            let end = start + group.num_rows() as usize;
            let wanted = rows.start.max(start)..rows.end.min(end);
            if !wanted.is_empty() {
                let inside = wanted.start - start..wanted.end - start;
                self.read_group(index, inside, &projection, &mut documents)?;
            }
            start = end;
        }
        Ok(Split {
            columns: columns.to_vec(),
            documents,
        })
    }

    fn read_group(
        &self,
        index: usize,
        rows: Range<usize>,
        projection: &Type,
        documents: &mut Vec<Document>,
    ) -> Result<(), DataError> {
        let before = documents.len();
        if projection.get_fields().is_empty() {
            documents.resize(before + rows.len(), Document::new());
            return Ok(());
        }
        let group = self
            .reader
            .get_row_group(index)
            .map_err(unreadable(&self.path))?;
        let iterator = group
            .get_row_iter(Some(projection.clone()))
            .map_err(unreadable(&self.path))?;
        for row in iterator.skip(rows.start).take(rows.len()) {
            let cells = row
                .map_err(unreadable(&self.path))?
                .into_columns()
                .into_iter();
            let document = cells.zip(projection.get_fields());
            documents.push(
                document
                    .map(|((name, cell), field)| (name, value(cell, field)))
                    .collect(),
            );
        }
        if documents.len() - before == rows.len() {
            return Ok(());
        }
        let reason = format!("row group {index} has fewer rows than the footer says");
        Err(DataError::corrupt(&self.path, reason))
    }

    fn field(&self, name: &str) -> Option<TypePtr> {
        self.schema
            .get_fields()
            .iter()
            .find(|field| field.name() == name)
            .cloned()
    }
}

fn unreadable(path: &Path) -> impl Fn(ParquetError) -> DataError {
    move |error| DataError::corrupt(path, format!("not a readable Parquet file: {error}"))
}

/// The field without pictures and sound; nothing, where nothing else is in it.
fn without_media(field: &TypePtr) -> Option<TypePtr> {
    if field.is_primitive() {
        return Some(Arc::clone(field));
    }
    if is_media(field) {
        return None;
    }
    let fields: Vec<TypePtr> = field
        .get_fields()
        .iter()
        .filter_map(without_media)
        .collect();
    if fields.len() == field.get_fields().len() {
        let same = fields
            .iter()
            .zip(field.get_fields())
            .all(|(kept, was)| Arc::ptr_eq(kept, was));
        if same {
            return Some(Arc::clone(field));
        }
    }
    // A map without its values is no map.
    let is_map = field.get_basic_info().converted_type() == ConvertedType::MAP;
    if fields.is_empty() || is_map {
        return None;
    }
    group_like(field, fields).ok().map(Arc::new)
}

/// How `datasets` stores an `Image` or `Audio`.
fn is_media(field: &Type) -> bool {
    let is_bytes = |field: &TypePtr| {
        field.is_primitive()
            && field.name() == "bytes"
            && field.get_physical_type() == PhysicalType::BYTE_ARRAY
            && field.get_basic_info().converted_type() == ConvertedType::NONE
    };
    let fields = field.get_fields();
    fields.len() == 2
        && fields.iter().any(is_bytes)
        && fields.iter().any(|field| field.name() == "path")
}

/// The group with other fields.
fn group_like(group: &Type, fields: Vec<TypePtr>) -> Result<Type, ParquetError> {
    let info = group.get_basic_info();
    let mut builder = Type::group_type_builder(info.name())
        .with_fields(fields)
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_id(info.has_id().then(|| info.id()));
    if info.has_repetition() {
        builder = builder.with_repetition(info.repetition());
    }
    builder.build()
}
