//! Functions behind `{native: NAME}`: what some tasks need beyond columns and templates, so that they need no Python.
//! Refuses documents that lack what a function reads.

mod hellaswag;
mod keep_rows;
mod mathqa;
mod truthfulqa;
mod wikitext;

use harness_data::Document;
use serde_json::{Map, Value};

use crate::spec::NativeFunction;

/// A function's answer, or in words why there is none.
pub(crate) type NativeResult<T> = Result<T, String>;

type DocumentsFunction = fn(&Map<String, Value>, Vec<Document>) -> NativeResult<Vec<Document>>;
type FieldFunction = fn(&Document) -> NativeResult<Value>;
type ResultsFunction = fn(&Document, &[Value]) -> NativeResult<Map<String, Value>>;

/// Under `process_docs`.
static DOCUMENTS: [(&str, DocumentsFunction); 3] = [
    ("hellaswag", hellaswag::documents),
    ("keep_rows", keep_rows::documents),
    ("truthfulqa_gen", truthfulqa::documents),
];

/// Under `doc_to_text`, `doc_to_target` and `doc_to_choice`.
static FIELDS: [(&str, FieldFunction); 2] = [
    ("mathqa_choices", mathqa::choices),
    ("wikitext_detokenized", wikitext::detokenized),
];

/// Under `process_results`.
static RESULTS: [(&str, ResultsFunction); 3] = [
    ("truthfulqa_gen", truthfulqa::generation_results),
    ("truthfulqa_mc2", truthfulqa::choice_results),
    ("wikitext", wikitext::results),
];

/// A kind of key that takes functions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    /// From rows to rows.
    Documents,
    /// From a row to a text, an index or a list.
    Field,
    /// From a row and its responses to values by name.
    Results,
}

impl Slot {
    /// The functions there are.
    pub(crate) fn names(self) -> Vec<&'static str> {
        match self {
            Self::Documents => DOCUMENTS.iter().map(|(name, _)| *name).collect(),
            Self::Field => FIELDS.iter().map(|(name, _)| *name).collect(),
            Self::Results => RESULTS.iter().map(|(name, _)| *name).collect(),
        }
    }
}

/// Rows from rows.
pub(crate) fn process_documents(
    function: &NativeFunction,
    documents: Vec<Document>,
) -> NativeResult<Vec<Document>> {
    find(&DOCUMENTS, function)?(&function.arguments, documents)
}

/// A value of one row.
pub(crate) fn field(function: &NativeFunction, document: &Document) -> NativeResult<Value> {
    find(&FIELDS, function)?(document)
}

/// Values by name from one row and its responses.
pub(crate) fn process_results(
    function: &NativeFunction,
    document: &Document,
    results: &[Value],
) -> NativeResult<Map<String, Value>> {
    find(&RESULTS, function)?(document, results)
}

fn find<F: Copy>(table: &[(&str, F)], function: &NativeFunction) -> NativeResult<F> {
    let found = table.iter().find(|(name, _)| *name == function.name);
    found
        .map(|(_, function)| *function)
        .ok_or_else(|| format!("there is no native function `{}` here", function.name))
}

/// The text of a column.
fn text<'a>(document: &'a Document, column: &str) -> NativeResult<&'a str> {
    let value = document.get(column).and_then(Value::as_str);
    value.ok_or_else(|| format!("the column `{column}` holds no text"))
}

/// The texts of a column of lists.
fn texts<'a>(document: &'a Document, column: &str) -> NativeResult<Vec<&'a str>> {
    let items = document.get(column).and_then(Value::as_array);
    let texts = items.and_then(|items| items.iter().map(Value::as_str).collect());
    texts.ok_or_else(|| format!("the column `{column}` holds no list of texts"))
}

/// A pattern of a function's own.
fn regex(pattern: &str) -> NativeResult<harness_metric::PythonRegex> {
    harness_metric::PythonRegex::new(pattern).map_err(|error| error.to_string())
}
