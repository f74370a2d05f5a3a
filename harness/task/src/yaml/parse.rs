//! From the text of one YAML file to a tree with positions; a loop over parser events, so nesting is bounded by a
//! number and not by the stack. The parser is a translation of libyaml, which upstream's loader uses too.

use std::borrow::Cow;
use std::path::Path;

use libyaml_safer::{Error, EventData, Parser, ScalarStyle};

use super::build::Builder;
use super::{Node, Position};
use crate::TaskError;

/// Parses the single document of a YAML file; an empty file is null.
///
/// # Errors
/// On broken YAML, keys set twice to different values, keys that are lists or maps, and a second document.
pub fn parse(text: &str, file: &Path) -> Result<Node, TaskError> {
    let mut builder = Builder::new(file);
    let whole = with_line_end(text);
    let mut bytes = whole.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    loop {
        let mut event = parser.parse().map_err(|error| broken(&error, &builder))?;
        if event.data == EventData::StreamEnd {
            return Ok(builder.finish());
        }
        if whole.len() > text.len() && event.end_mark.index as usize == whole.len() {
            drop_line_end(&mut event.data);
        }
        builder.take(event)?;
    }
}

/// The text with the end of its last line, without which the parser panics in block scalars and after backslashes.
fn with_line_end(text: &str) -> Cow<'_, str> {
    let last = text
        .rsplit(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        .next();
    if last.is_some_and(|line| !line.trim_matches([' ', '\t']).is_empty()) {
        return format!("{text}\n").into();
    }
    text.into()
}

/// Takes from a block scalar at the end of the file the line's end that the file does not have.
fn drop_line_end(event: &mut EventData) {
    if let EventData::Scalar { value, style, .. } = event
        && matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
        && value.ends_with('\n')
    {
        value.pop();
    }
}

/// The parser's words, with its mark where it has one.
fn broken(error: &Error, builder: &Builder) -> TaskError {
    let context = error.context().map(|context| format!("{context}, "));
    TaskError::Yaml {
        at: match error.problem_mark() {
            Some(mark) => builder.position(mark),
            None => Position::start_of(&builder.file),
        },
        message: format!("{}{}", context.unwrap_or_default(), error.problem()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::parse;
    use crate::yaml::NodeValue;

    /// Files that do not end in a line's end, and what `PyYAML` 6.0.3 makes of them.
    #[test]
    fn the_last_line_needs_no_end() {
        for (text, value) in [
            ("a: |\n  x", "x"),
            ("a: |+\n  x", "x"),
            ("a: |-\n  x", "x"),
            ("a: >\n  x\n  y", "x y"),
            ("a: |\n  x\n ", "x\n"),
            ("a: |+\n  x\n  ", "x\n"),
            ("a: |+\n  x\n\n  ", "x\n\n"),
            ("a: |\n  x \\", "x \\"),
            ("a: >-\n  x\n# c", "x"),
            ("a: |\n  x\n# c", "x\n"),
            ("a: |\n  x\n\n  y ", "x\n\ny "),
            ("a: |\r\n Q", "Q"),
            ("a: |2\n   x", " x"),
            ("a: |", ""),
            ("a: 'b'", "b"),
        ] {
            let node = parse(text, Path::new("t.yaml")).unwrap();
            let NodeValue::Mapping(map) = node.value else {
                panic!("{text:?}: {node:?}");
            };
            let found = map.get("a").map(|node| node.value.clone());
            assert_eq!(found, Some(NodeValue::Scalar(json!(value))), "{text:?}");
        }
        assert!(parse("a: \"b\\", Path::new("t.yaml")).is_err());
    }
}
