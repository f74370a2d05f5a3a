//! Filters for tagging tasks: part-of-speech tags out of printed pairs, and named entities in one form.

use serde_json::{Value, json};

use super::Filter;
use super::arguments::Arguments;
use super::regex::compile;
use crate::template::{python_str, strip};

/// Names that models give to kinds of entities, with the kind's label; rewritten in this order.
const LABELS: [(&str, &str); 15] = [
    ("person", "PER"),
    ("location", "LOC"),
    ("organization", "ORG"),
    ("counties", "LOC"),
    ("places", "LOC"),
    ("people", "PER"),
    ("persons", "PER"),
    ("company", "ORG"),
    ("country", "LOC"),
    ("continent", "LOC"),
    ("time", "DATE"),
    ("date", "DATE"),
    ("per", "PER"),
    ("loc", "LOC"),
    ("org", "ORG"),
];

/// The filter `regex_pos`; upstream never uses its pattern either.
pub(super) fn tags(arguments: &mut Arguments<'_>) -> Filter {
    arguments.value("regex_pattern");
    arguments.value("group_select");
    let fallback = arguments.value("fallback");
    Filter::Tags(fallback.unwrap_or_else(|| json!(["invalid"])))
}

/// The tags of a response that prints pairs of token and tag, or the fallback where there are none.
pub(super) fn tags_of(response: &Value, fallback: &Value) -> Result<Value, String> {
    let text = text(response)?;
    let pairs = compile(r"\('([^']*)', '([^']*)'\)")?;
    let pairs = pairs.find_all(text).map_err(|error| error.to_string())?;
    let tags: Vec<&str> = pairs
        .iter()
        .filter_map(|pair| pair.last().copied())
        .collect();
    Ok(if tags.is_empty() {
        fallback.clone()
    } else {
        tags.into()
    })
}

/// The entities of a response as `label: entity $ label: entity`.
pub(super) fn formatted(response: &Value) -> Result<Value, String> {
    let labelled = labelled(&text(response)?.to_lowercase())?;
    let lines = labelled.replace('\n', "$");
    let pattern = compile(r"\b(PER|LOC|ORG|DATE):\s*([^$]+)")?;
    let found = pattern
        .find_all(strip(&lines))
        .map_err(|error| error.to_string())?;
    let mut entities = Vec::new();
    for groups in &found {
        let [label, names] = groups.as_slice() else {
            continue;
        };
        let names = names.split(',').map(strip);
        let named = names.filter(|name| name.to_lowercase() != "none");
        entities.extend(named.map(|name| format!("{}: {name}", label.to_lowercase())));
    }
    Ok(entities.join(" $ ").into())
}

/// A lower-case text with the kinds of entities called by their labels, and single `$` between them.
fn labelled(text: &str) -> Result<String, String> {
    let mut text = text.to_owned();
    for (name, label) in LABELS {
        let pattern = compile(&format!(r"\b{name}\s*:"))?;
        let replaced = pattern.sub(&format!("{label}:"), &text, 0);
        text = replaced.map_err(|error| error.to_string())?;
    }
    Ok(text.replace("$$", "$").trim_end_matches('$').to_owned())
}

fn text(response: &Value) -> Result<&str, String> {
    response
        .as_str()
        .ok_or_else(|| format!("a filter for text got {}", python_str(response)))
}
