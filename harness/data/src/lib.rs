//! Data sets as documents: finds a split's files below the data folders, at a hub or by pattern, and reads Parquet, JSON,
//! CSV and text into rows; refuses to run data set scripts, to guess between configs, and to reach for the network by itself.

mod card;
mod csv_table;
mod error;
mod file_text;
mod files;
mod found;
mod json_rows;
mod layout;
mod options;
mod parquet_rows;
mod parquet_value;
mod patterns;
mod remote;
mod repository;
mod shards;
mod source;
mod split_expression;
mod tables;
mod text_rows;

use std::path::PathBuf;

pub use error::DataError;
pub use options::{
    CsvOptions, DataFiles, DatasetOptions, Header, OptionError, ReadingOptions, SampleBy,
    SplitOption, TextOptions,
};
pub use remote::{Listing, Remote, RemoteError};
pub use source::DataSource;

/// One row of a data set: column name to value, in the order of the columns.
pub type Document = serde_json::Map<String, serde_json::Value>;

/// The rows of one split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// Column names, in file order; every document has all of them. Pictures and sound in Parquet are no columns.
    pub columns: Vec<String>,
    /// The rows, in file order (shards in the order of their numbers).
    pub documents: Vec<Document>,
}

/// What a task says about where its data is.
#[derive(Clone, Debug, Default)]
pub struct DatasetRef {
    /// `dataset_path`: `org/name`, a local folder, or one of the builders `json`, `csv`, `parquet` and `text`.
    pub path: String,
    /// `dataset_name`: the config; `None` is the card's default, `default` or the data set's root.
    pub name: Option<String>,
    /// `dataset_kwargs`.
    pub options: DatasetOptions,
    /// Folder that relative paths are relative to: that of the task's YAML.
    pub base_dir: PathBuf,
}

/// Which part of a split is read; what is left out of a Parquet file is not decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// Names of the columns; `None` is all.
    pub columns: Option<&'a [&'a str]>,
    /// Rows at most, from the first; `None` is all.
    pub limit: Option<usize>,
}
