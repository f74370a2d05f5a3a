//! A data set's card: the `configs:` in the YAML at the head of its README, which say what files are which config's which
//! split. Refuses cards whose `configs:` cannot be read; says nothing about the rest of a card.

use libyaml_safer::{EventData, Parser, ScalarStyle};
use serde_json::{Map, Value};

use crate::options::ReadingOptions;

/// Name of the file.
pub(crate) const CARD: &str = "README.md";

/// Deeper than any card, and no danger to the stack.
const MAX_DEPTH: usize = 64;

/// One entry of `configs:`.
#[derive(Debug, PartialEq)]
pub(crate) struct CardConfig {
    pub(crate) name: String,
    pub(crate) is_default: bool,
    /// Split name to patterns; without it, files are found by their names below `data_dir`.
    pub(crate) data_files: Option<Vec<(String, Vec<String>)>>,
    pub(crate) data_dir: Option<String>,
    pub(crate) reading: ReadingOptions,
}

/// The configs of a card, none where it names none.
///
/// # Errors
/// What is wrong with the YAML or its `configs:`.
pub(crate) fn configs(readme: &str) -> Result<Vec<CardConfig>, String> {
    let Some(head) = front_matter(readme) else {
        return Ok(Vec::new());
    };
    let card = json(head).map_err(|problem| format!("the YAML at its head: {problem}"))?;
    match card.get("configs") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(configs)) => configs.iter().map(config).collect(),
        Some(_) => Err("`configs:` is no list".to_owned()),
    }
}

fn front_matter(readme: &str) -> Option<&str> {
    let body = readme.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let body = body
        .strip_prefix("\r\n")
        .or_else(|| body.strip_prefix('\n'))?;
    let end = body.find("\n---").map_or(0, |at| at + 1);
    Some(&body[..end])
}

fn config(config: &Value) -> Result<CardConfig, String> {
    let fields = config
        .as_object()
        .ok_or("an entry of `configs:` is no map")?;
    let name = fields.get("config_name").map(plain_text);
    let name = name.ok_or("an entry of `configs:` has no `config_name`")?;
    let files = fields.get("data_files").filter(|files| !files.is_null());
    let data_files = files.map(data_files).transpose().map_err(|()| {
        format!("config `{name}`: `data_files` is no pattern, list of patterns, or list of maps with `split` and `path`")
    })?;
    Ok(CardConfig {
        is_default: fields.get("default") == Some(&Value::Bool(true)),
        data_files,
        data_dir: fields
            .get("data_dir")
            .and_then(Value::as_str)
            .map(str::to_owned),
        reading: ReadingOptions::from_card(fields),
        name,
    })
}

fn data_files(value: &Value) -> Result<Vec<(String, Vec<String>)>, ()> {
    let paths = |value: &Value| match value {
        Value::String(path) => Ok(vec![path.clone()]),
        Value::Array(paths) => {
            let text = |path: &Value| path.as_str().map(str::to_owned).ok_or(());
            paths.iter().map(text).collect::<Result<Vec<_>, _>>()
        }
        _ => Err(()),
    };
    match value {
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let split = |item: &Value| {
                let split = item.get("split").map(plain_text).ok_or(())?;
                Ok((split, paths(item.get("path").ok_or(())?)?))
            };
            items.iter().map(split).collect()
        }
        Value::Object(splits) => {
            let split = |(split, files): (&String, &Value)| Ok((split.clone(), paths(files)?));
            splits.iter().map(split).collect()
        }
        other => Ok(vec![("train".to_owned(), paths(other)?)]),
    }
}

/// A name, which YAML may have taken for a number.
fn plain_text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A container that is being read, with the key that waits for its value.
struct Open {
    value: Value,
    key: Option<String>,
}

fn json(yaml: &str) -> Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    let mut bytes = yaml.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    loop {
        let event = parser.parse().map_err(|error| error.to_string())?;
        let finished = match event.data {
            EventData::Scalar { value, style, .. } => scalar(&value, style),
            EventData::SequenceStart { .. } => {
                open.push(Open::new(Value::Array(Vec::new()), open.len())?);
                continue;
            }
            EventData::MappingStart { .. } => {
                open.push(Open::new(Value::Object(Map::new()), open.len())?);
                continue;
            }
            EventData::SequenceEnd | EventData::MappingEnd => match open.pop() {
                Some(container) => container.value,
                None => continue,
            },
            // No card needs an alias where we look.
            EventData::Alias { .. } => Value::Null,
            EventData::StreamEnd => return Ok(root),
            _ => continue,
        };
        match open.last_mut() {
            Some(container) => container.take(finished),
            None => root = finished,
        }
    }
}

impl Open {
    fn new(value: Value, depth: usize) -> Result<Self, String> {
        if depth >= MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels deep"));
        }
        Ok(Self { value, key: None })
    }

    fn take(&mut self, finished: Value) {
        match (&mut self.value, self.key.take()) {
            (Value::Array(items), _) => items.push(finished),
            (Value::Object(map), Some(key)) => {
                map.insert(key, finished);
            }
            (_, None) => self.key = Some(plain_text(&finished)),
            _ => {}
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return text.into();
    }
    match text {
        "true" | "True" => true.into(),
        "false" | "False" => false.into(),
        "" | "~" | "null" => Value::Null,
        _ => text
            .parse::<i64>()
            .map_or_else(|_| text.into(), Value::from),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::configs;

    #[test]
    fn every_form_of_data_files_is_read() {
        let card = "---\nlicense: mit\nconfigs:\n- config_name: a\n  data_files: x/*.csv\n  sep: \"\\t\"\n\
                    - config_name: 2018\n  default: true\n  data_files:\n  - split: dev\n    path: [p/*, q]\n\
                    - config_name: c\n  data_dir: sub\n---\n# Title\n---\n";
        let found = configs(card).unwrap();
        let patterns = |at: usize| found[at].data_files.clone().unwrap_or_default();
        assert_eq!(
            patterns(0),
            [("train".to_owned(), vec!["x/*.csv".to_owned()])]
        );
        assert_eq!(found[0].reading.csv.separator, Some(b'\t'));
        assert_eq!(
            (found[1].name.as_str(), found[1].is_default),
            ("2018", true)
        );
        assert_eq!(
            patterns(1),
            [("dev".to_owned(), vec!["p/*".to_owned(), "q".to_owned()])]
        );
        assert_eq!(
            (found[2].data_dir.as_deref(), found[2].data_files.is_none()),
            (Some("sub"), true)
        );
        for none in ["", "# Title", "---\nlicense: mit\n---\n", "---\nno end"] {
            assert_eq!(configs(none).unwrap(), [], "{none:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let error = |yaml: &str| configs(&format!("---\n{yaml}\n---\n")).unwrap_err();
        assert_eq!(error("configs: all"), "`configs:` is no list");
        assert_eq!(
            error("configs: [{data_files: x}]"),
            "an entry of `configs:` has no `config_name`"
        );
        assert!(
            error("configs: [{config_name: a, data_files: 3}]")
                .starts_with("config `a`: `data_files` is no")
        );
        assert!(error("a: [").starts_with("the YAML at its head: "));
        let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
        assert!(error(&deep).ends_with("more than 64 levels deep"));
        assert!(error(&"[".repeat(100_000)).starts_with("the YAML at its head: "));
    }
}
