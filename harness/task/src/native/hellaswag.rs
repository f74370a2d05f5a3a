//! The rows of `HellaSwag` as prompts: query, choices and gold index, cleaned of `WikiHow`'s marks.

use harness_data::Document;
use serde_json::{Map, Value, json};

use super::{NativeResult, regex, text, texts};
use crate::template::{capitalize, strip};

/// Adds `query` ("activity: context"), `choices` and `gold` to every row.
pub(super) fn documents(
    _: &Map<String, Value>,
    mut documents: Vec<Document>,
) -> NativeResult<Vec<Document>> {
    let bracketed = regex(r"\[.*?\]")?;
    let clean = |text: &str| -> NativeResult<String> {
        let text = strip(text).replace(" [title]", ". ");
        let text = bracketed
            .sub("", &text, 0)
            .map_err(|error| error.to_string())?;
        Ok(text.replace("  ", " "))
    };
    for document in &mut documents {
        let (activity, start) = (text(document, "activity_label")?, text(document, "ctx_a")?);
        let end = capitalize(text(document, "ctx_b")?);
        let query = clean(&format!("{activity}: {start} {end}"))?;
        let choices = texts(document, "endings")?
            .into_iter()
            .map(clean)
            .collect::<NativeResult<Vec<_>>>()?;
        let gold = gold(document)?;
        document.insert("query".to_owned(), query.into());
        document.insert("choices".to_owned(), choices.into());
        document.insert("gold".to_owned(), gold);
    }
    Ok(documents)
}

/// `int(label)`.
fn gold(document: &Document) -> NativeResult<Value> {
    let label = match document.get("label") {
        Some(Value::String(text)) => strip(text).parse::<i64>().ok(),
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    label
        .map(|label| json!(label))
        .ok_or_else(|| "the column `label` holds no whole number".to_owned())
}
