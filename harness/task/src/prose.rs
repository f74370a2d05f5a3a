//! Text around a question, such as the description, on documents: a column or a template. Asks for no answer.

use serde_json::Value;

use crate::TaskError;
use crate::field::{Row, compiled, rendered};
use crate::template::{Rendered, Template, python_str};

/// Text around a question, such as the description: a column of the very document, else a template.
pub(crate) struct Prose {
    key: &'static str,
    template: Template,
}

impl Prose {
    /// The text of a key; of an absent one, nothing.
    pub(crate) fn compile(
        key: &'static str,
        source: Option<&str>,
        task: &str,
    ) -> Result<Self, TaskError> {
        let template = compiled(key, source.unwrap_or_default(), task)?;
        Ok(Self { key, template })
    }

    pub(crate) fn text(&self, row: &Row<'_>) -> Result<String, TaskError> {
        if let Some(value) = row.document.get(self.template.source()) {
            return Ok(match value {
                Value::Null => String::new(),
                value => python_str(value),
            });
        }
        Ok(match rendered(self.key, &self.template, row)? {
            Rendered::Text(text) => text,
            Rendered::List(items) => python_str(&items.into()),
        })
    }
}
