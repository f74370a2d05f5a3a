//! `dataset_kwargs`: which of `load_dataset`'s arguments are read, and of what type; refuses all others by name.

use serde_json::{Map, Value};

/// What a task's `dataset_kwargs` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetOptions {
    /// Files to read instead of those of a config.
    pub data_files: Option<DataFiles>,
    /// Folder inside the data set, or for the builders, that files are looked for in.
    pub data_dir: Option<String>,
    /// Branch, tag or commit of a data set of the hub.
    pub revision: Option<String>,
    /// The config, where the task has no `dataset_name`.
    pub name: Option<String>,
    /// Split expressions to read in place of the splits.
    pub split: Option<SplitOption>,
    /// How the files are read.
    pub reading: ReadingOptions,
}

/// `data_files` as Hugging Face's builders take it: names, patterns or addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataFiles {
    /// Files without a split: they are the split `train`.
    Train(Vec<String>),
    /// Split name to files.
    BySplit(Vec<(String, Vec<String>)>),
}

/// `split` as `load_dataset` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SplitOption {
    /// One expression; nothing else is loaded.
    One(String),
    /// Split name to expression.
    Named(Vec<(String, String)>),
}

/// What the readers of single formats can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadingOptions {
    /// JSON: the key of the file's one object that holds the rows.
    pub field: Option<String>,
    /// CSV.
    pub csv: CsvOptions,
    /// Text.
    pub text: TextOptions,
}

/// How CSV is read, under the names that pandas has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between cells; absent, a comma, or a tab in `.tsv` files.
    pub separator: Option<u8>,
    /// Around cells; absent, where nothing quotes.
    pub quote: Option<u8>,
    /// Before a quote inside a cell.
    pub escape: Option<u8>,
    /// Whether two quotes inside a quoted cell stand for one.
    pub double_quote: bool,
    /// At the start of lines that are passed over.
    pub comment: Option<u8>,
    /// Where the column names are.
    pub header: Header,
    /// Column names that replace the header's.
    pub names: Option<Vec<String>>,
    /// Lines at the start that are passed over.
    pub skip_rows: usize,
    /// Rows that are read at most.
    pub rows: Option<usize>,
    /// Cells that are missing values.
    pub missing: Vec<String>,
    /// Whether pandas' own spellings of missing values count, too.
    pub default_missing: bool,
}

/// Where a CSV file has its column names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// In the first line, unless names are given.
    #[default]
    Infer,
    /// In this line, from 0.
    Line(usize),
    /// Nowhere.
    None,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            separator: None,
            quote: Some(b'"'),
            escape: None,
            double_quote: true,
            comment: None,
            header: Header::Infer,
            names: None,
            skip_rows: 0,
            rows: None,
            missing: Vec::new(),
            default_missing: true,
        }
    }
}

/// How text is cut into rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// What a row is.
    pub sample_by: SampleBy,
    /// Whether lines keep their line breaks.
    pub keep_linebreaks: bool,
}

/// What a row of a text file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleBy {
    /// A line, also an empty one.
    #[default]
    Line,
    /// What stands between empty lines.
    Paragraph,
    /// The file.
    Document,
}

/// What is wrong with a key of `dataset_kwargs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// There is no such key.
    #[error("`dataset_kwargs` has no key `{key}`{hint}")]
    Unknown {
        /// The key.
        key: String,
        /// The nearest key, as a clause, or nothing.
        hint: String,
    },
    /// The value does not fit.
    #[error("`{key}` takes {takes}, not {value}")]
    Value {
        /// The key.
        key: String,
        /// What it takes.
        takes: &'static str,
        /// What it has.
        value: Value,
    },
}

impl OptionError {
    /// The key that is wrong.
    pub fn key(&self) -> &str {
        match self {
            Self::Unknown { key, .. } | Self::Value { key, .. } => key,
        }
    }
}

/// Takes a value in, or says by `None` that it does not fit.
type Setter = fn(&mut DatasetOptions, &Value) -> Option<()>;

/// Every key: its name, what it takes, how it is read.
const KEYS: [(&str, &str, Setter); 23] = [
    (
        "data_files",
        "a file, a list of files, or either for each split",
        |o, v| put(&mut o.data_files, data_files(v)?),
    ),
    ("data_dir", "a folder", |o, v| {
        put(&mut o.data_dir, text(v)?)
    }),
    ("revision", "text", |o, v| put(&mut o.revision, text(v)?)),
    ("name", "text", |o, v| put(&mut o.name, text(v)?)),
    (
        "split",
        "a split expression, or a map of split names to them",
        |o, v| put(&mut o.split, split(v)?),
    ),
    ("field", "a key of the file's object", |o, v| {
        put(&mut o.reading.field, text(v)?)
    }),
    ("sep", CHARACTER, |o, v| {
        put(&mut o.reading.csv.separator, byte(v)?)
    }),
    ("delimiter", CHARACTER, |o, v| {
        put(&mut o.reading.csv.separator, byte(v)?)
    }),
    ("quotechar", CHARACTER, |o, v| {
        put(&mut o.reading.csv.quote, byte(v)?)
    }),
    ("escapechar", CHARACTER, |o, v| {
        put(&mut o.reading.csv.escape, byte(v)?)
    }),
    ("comment", CHARACTER, |o, v| {
        put(&mut o.reading.csv.comment, byte(v)?)
    }),
    (
        "quoting",
        "0 or 1 (cells may be quoted) or 3 (quotes mean nothing)",
        quoting,
    ),
    ("doublequote", TRUTH, |o, v| {
        set(&mut o.reading.csv.double_quote, v.as_bool()?)
    }),
    ("header", "a line number from 0, \"infer\" or null", header),
    ("names", "a list of column names", |o, v| {
        put(&mut o.reading.csv.names, texts(v)?)
    }),
    ("column_names", "a list of column names", |o, v| {
        put(&mut o.reading.csv.names, texts(v)?)
    }),
    ("skiprows", COUNT, |o, v| {
        set(&mut o.reading.csv.skip_rows, count(v)?)
    }),
    ("nrows", COUNT, |o, v| {
        put(&mut o.reading.csv.rows, count(v)?)
    }),
    ("na_values", "a text or a list of texts", |o, v| {
        set(&mut o.reading.csv.missing, texts(v)?)
    }),
    ("keep_default_na", TRUTH, |o, v| {
        set(&mut o.reading.csv.default_missing, v.as_bool()?)
    }),
    ("sample_by", "line, paragraph or document", sample_by),
    ("keep_linebreaks", TRUTH, |o, v| {
        set(&mut o.reading.text.keep_linebreaks, v.as_bool()?)
    }),
    ("encoding", "utf-8", |_, v| utf8(v)),
];

const CHARACTER: &str = "one character of ASCII";
const TRUTH: &str = "true or false";
const COUNT: &str = "a whole number from 0";

/// Keys that say how the library works, not what it reads; `features` names the types that the files have.
const INERT: [&str; 10] = [
    "trust_remote_code",
    "keep_in_memory",
    "num_proc",
    "download_mode",
    "verification_mode",
    "ignore_verifications",
    "save_infos",
    "chunksize",
    "streaming",
    "features",
];

impl DatasetOptions {
    /// Reads `dataset_kwargs`. A value that is null counts as absent, save for `header`.
    ///
    /// # Errors
    /// On keys that are not read, and values of the wrong type.
    pub fn from_kwargs(kwargs: &Map<String, Value>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (key, value) in kwargs {
            if INERT.contains(&key.as_str()) || value.is_null() && key != "header" {
                continue;
            }
            let Some((_, takes, setter)) = KEYS.iter().find(|(known, ..)| known == key) else {
                let known = KEYS.iter().map(|(known, ..)| *known).chain(INERT);
                let hint = harness_spelling::hint(key, known);
                return Err(OptionError::Unknown {
                    key: key.clone(),
                    hint,
                });
            };
            setter(&mut options, value).ok_or_else(|| OptionError::Value {
                key: key.clone(),
                takes,
                value: value.clone(),
            })?;
        }
        Ok(options)
    }
}

impl ReadingOptions {
    /// The keys that say how a file is read, out of the config of a data set's card; others are the card's own.
    pub(crate) fn from_card(config: &Map<String, Value>) -> Self {
        let mut options = DatasetOptions::default();
        for (key, _, setter) in &KEYS {
            if let Some(value) = config.get(*key) {
                // A value that does not fit is what the data set's authors live with.
                let _ = setter(&mut options, value);
            }
        }
        options.reading
    }
}

/// `data_files`, as a YAML or JSON value.
pub(crate) fn data_files(value: &Value) -> Option<DataFiles> {
    let Value::Object(splits) = value else {
        return texts(value).map(DataFiles::Train);
    };
    let split = |(split, files): (&String, &Value)| Some((split.clone(), texts(files)?));
    splits
        .iter()
        .map(split)
        .collect::<Option<_>>()
        .map(DataFiles::BySplit)
}

fn split(value: &Value) -> Option<SplitOption> {
    let Value::Object(named) = value else {
        return text(value).map(SplitOption::One);
    };
    let named = named
        .iter()
        .map(|(name, expression)| Some((name.clone(), text(expression)?)));
    named.collect::<Option<_>>().map(SplitOption::Named)
}

fn quoting(options: &mut DatasetOptions, value: &Value) -> Option<()> {
    let csv = &mut options.reading.csv;
    match value.as_u64()? {
        0 | 1 => Some(()),
        3 => set(&mut csv.quote, None),
        _ => None,
    }
}

fn header(options: &mut DatasetOptions, value: &Value) -> Option<()> {
    let header = match value {
        Value::Null => Header::None,
        Value::String(text) if text == "infer" => Header::Infer,
        other => Header::Line(count(other)?),
    };
    set(&mut options.reading.csv.header, header)
}

fn sample_by(options: &mut DatasetOptions, value: &Value) -> Option<()> {
    let sample_by = match value.as_str()? {
        "line" => SampleBy::Line,
        "paragraph" => SampleBy::Paragraph,
        "document" => SampleBy::Document,
        _ => return None,
    };
    set(&mut options.reading.text.sample_by, sample_by)
}

fn utf8(value: &Value) -> Option<()> {
    let name = value.as_str()?.to_ascii_lowercase().replace('_', "-");
    ["utf-8", "utf8", "utf-8-sig", "ascii"]
        .contains(&name.as_str())
        .then_some(())
}

fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    set(place, Some(value))
}

#[allow(clippy::unnecessary_wraps, reason = "it ends a chain of `?`")]
fn set<T>(place: &mut T, value: T) -> Option<()> {
    *place = value;
    Some(())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        one => text(one).map(|one| vec![one]),
    }
}

fn count(value: &Value) -> Option<usize> {
    value.as_u64().map(|count| count as usize)
}

fn byte(value: &Value) -> Option<u8> {
    match value.as_str()?.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        _ => None,
    }
}
