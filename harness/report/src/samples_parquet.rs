//! Per-document records as a Parquet table, `samples_<task>_<time>.parquet`: a row a document and filter pipeline, numbers as
//! numbers. Holds what the JSONL file holds; computes nothing.

use std::sync::Arc;

use harness_task::{MetricValue, Request, Response, Sample, python_str};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Value, json};

use crate::samples::document_hashes;

/// A column's values, one a row.
enum Values {
    Integers(Vec<i64>),
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
    /// As [`Values::Texts`], each of them JSON.
    Json(Vec<Option<String>>),
    NumberLists(Vec<Vec<f64>>),
    FlagLists(Vec<Vec<bool>>),
    TextLists(Vec<Vec<String>>),
}

struct Column {
    name: String,
    values: Values,
}

/// The file's contents.
///
/// # Errors
/// Where the Parquet writer refuses them.
pub fn samples_parquet(samples: &[Sample]) -> Result<Vec<u8>> {
    let columns = columns(samples);
    let fields = columns.iter().map(Column::field).collect::<Result<_>>()?;
    let schema = Type::group_type_builder("samples").with_fields(fields);
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression);
    let mut file = Vec::new();
    let mut writer = SerializedFileWriter::new(
        &mut file,
        Arc::new(schema.build()?),
        Arc::new(properties.build()),
    )?;
    let mut rows = writer.next_row_group()?;
    for column in &columns {
        if let Some(mut place) = rows.next_column()? {
            column.values.write(&mut place)?;
            place.close()?;
        }
    }
    rows.close()?;
    writer.close()?;
    Ok(file)
}

fn columns(samples: &[Sample]) -> Vec<Column> {
    let each = |value: &dyn Fn(&Sample) -> Option<String>| samples.iter().map(value).collect();
    let text =
        |value: &dyn Fn(&Sample) -> String| Values::Texts(each(&|sample| Some(value(sample))));
    let lists = |value: &dyn Fn(&Request) -> Option<String>| {
        let of_sample = |sample: &Sample| sample.requests.iter().filter_map(value).collect();
        Values::TextLists(samples.iter().map(of_sample).collect())
    };
    let filtered = |sample: &Sample| sample.filtered_responses.iter().map(plain).collect();
    let hash = |place: usize| text(&move |sample| document_hashes(sample)[place].clone());
    let mut columns: Vec<Column> = [
        (
            "doc_id",
            Values::Integers(samples.iter().map(|sample| sample.doc_id as i64).collect()),
        ),
        ("filter", text(&|sample| sample.filter.clone())),
        ("target", text(&|sample| python_str(&sample.target))),
        (
            "doc",
            Values::Json(each(&|sample| Some(json!(sample.document).to_string()))),
        ),
        ("prompts", lists(&|request| Some(prompt(request)))),
        ("continuations", lists(&continuation)),
        ("gen_kwargs", Values::Json(each(&generation))),
        ("logprobs", Values::NumberLists(responses(samples, logprob))),
        (
            "is_greedy",
            Values::FlagLists(responses(samples, is_greedy)),
        ),
        ("texts", Values::TextLists(responses(samples, generated))),
        (
            "filtered",
            Values::TextLists(samples.iter().map(filtered).collect()),
        ),
        ("doc_hash", hash(0)),
        ("prompt_hash", hash(1)),
        ("target_hash", hash(2)),
    ]
    .map(|(name, values)| Column {
        name: name.to_owned(),
        values,
    })
    .into();
    add_metrics(samples, &mut columns);
    columns
}

/// A column a metric: of numbers, or of JSON where a document's value is no number.
fn add_metrics(samples: &[Sample], columns: &mut Vec<Column>) {
    let fixed = columns.len();
    let mut names: Vec<&str> = Vec::new();
    for metric in samples.iter().flat_map(|sample| &sample.metrics) {
        if !names.contains(&metric.name.as_str()) {
            names.push(&metric.name);
        }
    }
    for name in names {
        let of_sample = |sample| metric_of(sample, name);
        let is_number = |metric: &MetricValue| metric.number().is_some();
        let values = if samples.iter().filter_map(of_sample).all(is_number) {
            let number = |sample| of_sample(sample).and_then(MetricValue::number);
            Values::Numbers(samples.iter().map(number).collect())
        } else {
            let text = |sample| of_sample(sample).map(|metric| metric.value.to_string());
            Values::Json(samples.iter().map(text).collect())
        };
        let is_taken = columns[..fixed].iter().any(|column| column.name == name);
        let prefix = if is_taken { "metric_" } else { "" };
        columns.push(Column {
            name: format!("{prefix}{name}"),
            values,
        });
    }
}

fn metric_of<'a>(sample: &'a Sample, name: &str) -> Option<&'a MetricValue> {
    sample.metrics.iter().find(|metric| metric.name == name)
}

/// Texts as they are, anything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn prompt(request: &Request) -> String {
    request.arguments().first().map(plain).unwrap_or_default()
}

fn continuation(request: &Request) -> Option<String> {
    match request {
        Request::Loglikelihood { continuation, .. }
        | Request::Answer {
            answer: continuation,
            ..
        } => Some(continuation.clone()),
        _ => None,
    }
}

/// The settings of generation, which all requests of a document share.
fn generation(sample: &Sample) -> Option<String> {
    sample.requests.iter().find_map(|request| match request {
        Request::GenerateUntil { generation, .. } => Some(json!(generation.given).to_string()),
        _ => None,
    })
}

fn responses<T>(samples: &[Sample], of: fn(&Response) -> Option<T>) -> Vec<Vec<T>> {
    let of_sample = |sample: &Sample| sample.responses.iter().flatten().filter_map(of).collect();
    samples.iter().map(of_sample).collect()
}

fn logprob(response: &Response) -> Option<f64> {
    match response {
        Response::Loglikelihood { logprob, .. } | Response::LoglikelihoodRolling { logprob } => {
            Some(*logprob)
        }
        Response::Answer(tokens) => Some(tokens.logprobs(true).iter().sum()),
        _ => None,
    }
}

fn is_greedy(response: &Response) -> Option<bool> {
    match response {
        Response::Loglikelihood { is_greedy, .. } => Some(*is_greedy),
        Response::Answer(tokens) => Some(tokens.is_argmax.iter().all(|&is_argmax| is_argmax)),
        _ => None,
    }
}

fn generated(response: &Response) -> Option<String> {
    match response {
        Response::GenerateUntil { text } => Some(text.clone()),
        _ => None,
    }
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
