//! The arguments of a filter, taken one by one; refuses what is left over.

use serde_json::{Map, Value};

/// Arguments that wait to be taken.
pub(super) struct Arguments<'a> {
    filter: &'a str,
    given: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(filter: &'a str, given: &'a Map<String, Value>) -> Self {
        let known = Vec::new();
        Self {
            filter,
            given,
            known,
        }
    }

    /// An argument, unless it is absent or null.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.given
            .get(name)
            .filter(|value| !value.is_null())
            .cloned()
    }

    pub(super) fn text(&mut self, name: &'static str, default: &str) -> Result<String, String> {
        match self.value(name) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(name, "text", &other)),
        }
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, String> {
        let Some(value) = self.value(name) else {
            return Ok(Vec::new());
        };
        let texts = value.as_array().and_then(|items| {
            let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect()
        });
        texts.ok_or_else(|| self.wrong(name, "a list of texts", &value))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, String> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(self.wrong(name, "true or false", &other)),
        }
    }

    pub(super) fn integer(&mut self, name: &'static str) -> Result<i64, String> {
        match self.value(name) {
            None => Ok(0),
            Some(value) => value
                .as_i64()
                .ok_or_else(|| self.wrong(name, "a whole number", &value)),
        }
    }

    pub(super) fn required_count(&mut self, name: &'static str) -> Result<usize, String> {
        match self.integer(name)? {
            count @ 1.. => Ok(count as usize),
            _ => Err(format!(
                "filter `{}` needs `{name}`, a number from 1",
                self.filter
            )),
        }
    }

    pub(super) fn map(&mut self, name: &'static str) -> Result<Map<String, Value>, String> {
        match self.value(name) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(other) => Err(self.wrong(name, "a map", &other)),
        }
    }

    /// Refuses arguments that nobody took.
    pub(super) fn finish(self) -> Result<(), String> {
        let left = |name: &&String| !self.known.contains(&name.as_str());
        match self.given.keys().find(left) {
            None => Ok(()),
            Some(name) => {
                let hint = harness_spelling::hint(name, self.known.iter().copied());
                Err(format!(
                    "filter `{}` has no argument `{name}`{hint}",
                    self.filter
                ))
            }
        }
    }

    fn wrong(&self, name: &str, takes: &str, value: &Value) -> String {
        format!(
            "filter `{}`: `{name}` takes {takes}, not {value}",
            self.filter
        )
    }
}
