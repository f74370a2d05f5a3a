//! Data sets as documents: finds a split's files below the data folders and reads Parquet, JSON Lines, JSON and CSV
//! into rows; refuses to download, to run data set scripts and to guess between configs.

mod csv_table;
mod error;
mod json_rows;
mod layout;
mod parquet_rows;
mod source;

use std::path::PathBuf;

pub use error::DataError;
pub use source::DataSource;

/// One row of a data set: column name to value, in the order of the columns.
pub type Document = serde_json::Map<String, serde_json::Value>;

/// The rows of one split.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Column names, in file order; every document has all of them.
    pub columns: Vec<String>,
    /// The rows, in file order (shards in the order of their numbers).
    pub documents: Vec<Document>,
}

/// What a task says about where its data is.
#[derive(Clone, Debug, Default)]
pub struct DatasetRef {
    /// `dataset_path`: `org/name`, a local folder, or one of the builders `json`, `csv`, `parquet`.
    pub path: String,
    /// `dataset_name`: the config; `None` is `default` or the data set's root.
    pub name: Option<String>,
    /// `dataset_kwargs.data_files`, which the builders need and nothing else takes.
    pub data_files: Option<DataFiles>,
    /// Folder that relative paths are relative to: that of the task's YAML.
    pub base_dir: PathBuf,
}

/// `data_files` as Hugging Face's builders take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataFiles {
    /// Files without a split: they are the split `train`.
    Train(Vec<String>),
    /// Split name to files.
    BySplit(Vec<(String, Vec<String>)>),
}
