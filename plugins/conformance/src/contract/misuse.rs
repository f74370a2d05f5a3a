//! Options that are wrong: a method must refuse them or live with them. It refuses panics, which no value may cause.

use harness_host::{HostError, LoadedMethod, OptionDescription, OptionType};
use serde_json::{Value, json};

use crate::text;

pub(super) fn unknown(method: &LoadedMethod) -> Result<String, String> {
    match method.create_unchecked(&json!({ "no_such_option": 1 })) {
        Err(panic @ HostError::Panic { .. }) => Err(text(panic)),
        Err(error) => Ok(text(error)),
        Ok(_) => Err("the library took the option `no_such_option`".into()),
    }
}

/// Whether the library itself refuses values of another type and words that it does not know.
pub(super) fn wrong_types(method: &LoadedMethod) -> Result<String, String> {
    let mut refused = 0;
    for option in &method.description().options {
        let word = (!option.choices.is_empty()).then(|| json!("no such word"));
        for value in [json!([0]), json!({}), Value::Null].into_iter().chain(word) {
            let name = &option.name;
            match method.create_unchecked(&json!({ name: value })) {
                Err(panic @ HostError::Panic { .. }) => return Err(text(panic)),
                Err(_) => refused += 1,
                Ok(_) => return Err(format!("the library took {value} for the option `{name}`")),
            }
        }
    }
    Ok(format!("{refused} values refused"))
}

/// Whether values that make no sense are refused, or taken without a panic by what `attempt` does with them.
pub(super) fn extremes(
    method: &LoadedMethod,
    options: &Value,
    attempt: impl Fn(&Value) -> Result<(), HostError>,
) -> Result<String, String> {
    let (mut refused, mut taken) = (0, 0);
    for option in &method.description().options {
        for value in values(option) {
            let mut set = options.clone();
            set[&option.name] = value;
            match attempt(&set) {
                Err(panic @ HostError::Panic { .. }) => {
                    return Err(format!("`{}`={}: {panic}", option.name, set[&option.name]));
                }
                Err(_) => refused += 1,
                Ok(()) => taken += 1,
            }
        }
    }
    Ok(format!("{refused} refused, {taken} taken"))
}

fn values(option: &OptionDescription) -> Vec<Value> {
    match option.kind {
        OptionType::Number => [-1e30, -1.0, 0.0, 1e-30, 1e30].map(Value::from).into(),
        OptionType::Integer => [i64::MIN, -1, 0, 1 << 40, i64::MAX].map(Value::from).into(),
        OptionType::Boolean => [false, true].map(Value::from).into(),
        OptionType::String if option.choices.is_empty() => ["", "\u{0}"].map(Value::from).into(),
        OptionType::String => option.choices.iter().cloned().map(Value::from).collect(),
    }
}
