//! From the text of one YAML file to a tree with positions; a loop over parser events, so nesting is bounded by a
//! number and not by the stack. The parser is a translation of libyaml, which upstream's loader uses too.

use std::path::Path;

use libyaml_safer::{Error, EventData, Parser};

use super::build::Builder;
use super::{Node, Position};
use crate::TaskError;

/// Parses the single document of a YAML file; an empty file is null.
///
/// # Errors
/// On broken YAML, keys set twice to different values, keys that are lists or maps, and a second document.
pub fn parse(text: &str, file: &Path) -> Result<Node, TaskError> {
    let mut builder = Builder::new(file);
    let mut bytes = text.as_bytes();
    let mut parser = Parser::new();
    parser.set_input_string(&mut bytes);
    loop {
        let event = parser.parse().map_err(|error| broken(&error, &builder))?;
        if event.data == EventData::StreamEnd {
            return Ok(builder.finish());
        }
        builder.take(event)?;
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
