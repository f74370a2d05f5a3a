//! From the text of one YAML file to a tree with positions; a loop over parser events, so nesting is bounded by a
//! number and not by the stack. The parser is a translation of libyaml, which upstream's loader uses too.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    let mut at = Position::start_of(&builder.file);
    loop {
        // On some inputs the parser itself panics.
        let event =
            catch_unwind(AssertUnwindSafe(|| parser.parse())).map_err(|_| TaskError::Yaml {
                at: at.clone(),
                message: "the parser fails after this; a tag before a comma needs a space between"
                    .to_owned(),
            })?;
        let mut event = event.map_err(|error| broken(&error, text, &builder))?;
        at = builder.position(event.start_mark);
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

/// The parser's words, at its mark: where something is missing at the end of the file, at its beginning.
fn broken(error: &Error, text: &str, builder: &Builder) -> TaskError {
    let context = error.context().map(|context| format!("{context}, "));
    let mut at = match error.problem_mark() {
        Some(mark) => builder.position(mark),
        None => Position::start_of(&builder.file),
    };
    if at.line > text.lines().count()
        && let Some(mark) = error.context_mark()
    {
        at = builder.position(mark);
    }
    // The reader has no mark for what it refuses.
    if error.problem() == "control characters are not allowed"
        && let Some((line, column)) = control_character(text)
    {
        (at.line, at.column) = (line + 1, column + 1);
    }
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    let way_out = match error.problem() {
        "found character that cannot start any token"
            if line.trim_start_matches(' ').starts_with('\t') =>
        {
            "; YAML is indented with spaces, not tabs"
        }
        "mapping values are not allowed in this context" => "; text with `: ` in it needs quotes",
        _ => "",
    };
    let context = context.unwrap_or_default();
    TaskError::Yaml {
        at,
        message: format!("{context}{}{way_out}", error.problem()),
    }
}

/// Line and column, from 0, of the first character that YAML does not have.
fn control_character(text: &str) -> Option<(usize, usize)> {
    let is_refused = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    text.lines().enumerate().find_map(|(number, line)| {
        let column = line.chars().position(is_refused)?;
        Some((number, column))
    })
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
    }

    /// What the fuzzer found: inputs on which the parser itself panics.
    #[test]
    fn the_parsers_panics_are_errors() {
        for text in ["a: \"b\\", "[!,", "- !x,"] {
            assert!(parse(text, Path::new("t.yaml")).is_err(), "{text:?}");
        }
    }
}
