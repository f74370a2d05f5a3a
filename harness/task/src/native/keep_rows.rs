//! Keeps the rows whose columns have given values; refuses columns that are not there.

use harness_data::Document;
use serde_json::{Map, Value};

use super::NativeResult;

/// `{native: keep_rows, where: {column: value, …}}`: a row stays if every column named has the value given, or one of
/// several. Text that reads as a number does not equal the number.
pub(super) fn documents(
    arguments: &Map<String, Value>,
    documents: Vec<Document>,
) -> NativeResult<Vec<Document>> {
    let [("where", Value::Object(wanted))] = arguments
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect::<Vec<_>>()[..]
    else {
        return Err(
            "keep_rows takes the one argument `where`, a map from columns to values".to_owned(),
        );
    };
    let mut kept = Vec::new();
    for document in documents {
        if is_wanted(&document, wanted)? {
            kept.push(document);
        }
    }
    Ok(kept)
}

fn is_wanted(document: &Document, wanted: &Map<String, Value>) -> NativeResult<bool> {
    for (column, value) in wanted {
        let Some(own) = document.get(column) else {
            let hint = harness_spelling::hint(column, document.keys().map(String::as_str));
            return Err(format!("keep_rows: there is no column `{column}`{hint}"));
        };
        let fits = own == value || value.as_array().is_some_and(|values| values.contains(own));
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}
