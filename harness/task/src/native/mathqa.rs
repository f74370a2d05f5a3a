//! The choices of a `MathQA` row, which stand in one text: `a ) 38 , b ) 27.675 , …`.

use harness_data::Document;
use serde_json::Value;

use super::{NativeResult, regex, text};

/// Characters of the mark before a choice: `a ) `.
const MARK: usize = 4;

/// The choices, without marks and commas.
pub(super) fn choices(document: &Document) -> NativeResult<Value> {
    let options = text(document, "options")?;
    let found = regex(r"[abcd] \) .*?, |e \) .*?$")?;
    let found = found.find_all(options).map_err(|error| error.to_string())?;
    let choice = |whole: &[&str]| {
        let rest: String = whole.concat().chars().skip(MARK).collect();
        Value::from(rest.trim_end_matches([' ', ',']))
    };
    Ok(found.iter().map(|groups| choice(groups)).collect())
}
