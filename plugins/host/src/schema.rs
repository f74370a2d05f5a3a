//! A method's options as a JSON Schema, for editors and other programs. It refuses what the description does not say: there are no bounds.

use serde_json::{Map, Value, json};

use crate::{MethodDescription, OptionDescription};

impl MethodDescription {
    /// JSON Schema (draft 2020-12) of the object that [`LoadedMethod::create`](crate::LoadedMethod::create) takes.
    pub fn options_schema(&self) -> Value {
        let property = |option: &OptionDescription| (option.name.clone(), option.schema());
        let properties: Map<String, Value> = self.options.iter().map(property).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.id,
            "description": self.summary,
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        })
    }
}

impl OptionDescription {
    fn schema(&self) -> Value {
        let mut schema = json!({
            "type": self.kind.name(),
            "description": self.doc,
            "default": self.default,
        });
        if !self.choices.is_empty() {
            schema["enum"] = json!(self.choices);
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_defaults_words_and_documentation_are_all_there() {
        let description = MethodDescription::parse(
            r#"{"id": "mine", "version": "1", "summary": "A method.", "needs": [], "options": [
                {"name": "beta", "type": "number", "default": 0.1, "doc": "How hot."},
                {"name": "mode", "type": "string", "choices": ["a", "b"], "default": "a", "doc": "Which."}
            ]}"#,
        );
        let schema = description.unwrap().options_schema();
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(
            schema["properties"]["beta"],
            json!({"type": "number", "description": "How hot.", "default": 0.1})
        );
        assert_eq!(schema["properties"]["mode"]["enum"], json!(["a", "b"]));
    }

    #[test]
    fn a_default_that_is_none_of_the_words_is_refused() {
        let refused = MethodDescription::parse(
            r#"{"id": "mine", "version": "1", "summary": "", "needs": [], "options": [
                {"name": "mode", "type": "string", "choices": ["a", "b"], "default": "c", "doc": ""}]}"#,
        );
        assert!(refused.unwrap_err().contains("\"c\" is not a or b"));
    }
}
