//! Numbers as people write them: `1e-5` is text to YAML 1.1, and a number to everyone else.

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error};

/// A number, or a number as text.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Written {
    Number(f64),
    Text(String),
}

/// A list of numbers, or one number.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    Many(Vec<Written>),
    One(Written),
}

/// Multiples of something, or whether there is one of 1.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Multiples {
    Whether(bool),
    Numbers(OneOrMany),
}

impl OneOrMany {
    fn read<E: Error>(self) -> Result<Vec<f64>, E> {
        match self {
            Self::One(one) => Ok(vec![one.read()?]),
            Self::Many(many) => many.into_iter().map(Written::read).collect(),
        }
    }
}

impl Written {
    fn read<E: Error>(self) -> Result<f64, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Text(text) => text
                .parse()
                .map_err(|_| E::custom(format!("`{text}` is no number"))),
        }
    }
}

/// One number.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Written::deserialize(deserializer)?.read()
}

/// A list of numbers, or one number.
pub(super) fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    OneOrMany::deserialize(deserializer)?.read()
}

/// A list of numbers, one number, or `true` for 1 and `false` for none.
pub(super) fn multiples<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    match Multiples::deserialize(deserializer)? {
        Multiples::Whether(is_wanted) => Ok(if is_wanted { vec![1.0] } else { Vec::new() }),
        Multiples::Numbers(numbers) => numbers.read(),
    }
}
