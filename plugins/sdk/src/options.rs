//! A method's options, stated once: struct, defaults, parser and description. It refuses options without a sentence of documentation.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What [`options!`](crate::options) states about a method; not written by hand.
pub trait Options: Default + DeserializeOwned + 'static {
    /// The struct's documentation: what the method is.
    const SUMMARY: &'static str;
    /// Version of the method's crate.
    const VERSION: &'static str;
    /// Whether it has a `state` block.
    const KEEPS_STATE: bool;

    /// The options in the order they were written.
    fn describe() -> Vec<OptionDescription>;
}

/// One option as users, help texts and the host see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OptionDescription {
    /// Name in `--set name=value`.
    pub name: &'static str,
    /// `number`, `integer`, `boolean` or `string`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The words that a string may be, of a type made by [`choices!`](crate::choices); empty where it may be any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub choices: &'static [&'static str],
    /// Value when the user says nothing.
    pub default: Value,
    /// What it does, from the field's documentation.
    pub doc: String,
}

impl OptionDescription {
    /// Describes an option of type `T`.
    pub fn new<T: OptionValue>(name: &'static str, doc: &str, default: T) -> Self {
        Self {
            name,
            kind: T::KIND,
            choices: T::CHOICES,
            default: default.into(),
            doc: one_line(doc),
        }
    }
}

/// A type that an option may have.
pub trait OptionValue: Into<Value> {
    /// Its name in the description.
    const KIND: &'static str;
    /// The words that it is one of, if it is one of a few.
    const CHOICES: &'static [&'static str] = &[];
}

impl OptionValue for f64 {
    const KIND: &'static str = "number";
}
impl OptionValue for i64 {
    const KIND: &'static str = "integer";
}
impl OptionValue for u64 {
    const KIND: &'static str = "integer";
}
impl OptionValue for bool {
    const KIND: &'static str = "boolean";
}
impl OptionValue for String {
    const KIND: &'static str = "string";
}

/// Documentation comments as one line of text.
pub(crate) fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Declares a method's options: a struct whose documentation is the method's summary and whose fields are `name: type = default`, each documented.
///
/// What a method keeps from step to step goes behind them in a `state` block: cells with the values that they start with, which are no
/// options; an interrupted run of such a method begins anew. Types are `f64`, `i64`, `u64`, `bool`, `String`, and enums made by [`choices!`](crate::choices). The struct gets `Default`, a parser that refuses unknown names, and the
/// description that `harness methods list` prints.
///
/// ```
/// harness_sdk::options! {
///     /// A method.
///     pub struct Mine {
///         /// How hard to push.
///         strength: f64 = 0.5,
///     }
/// }
/// assert_eq!(Mine::default().strength, 0.5);
/// ```
#[macro_export]
macro_rules! options {
    (
        $(#[doc = $summary:literal])+
        $visibility:vis struct $name:ident {
            $( $(#[doc = $doc:literal])+ $option:ident: $type:ty = $default:expr ),* $(,)?
        }
        $(state {
            $( $(#[doc = $state_doc:literal])+ $state:ident: $state_type:ty = $start:expr ),* $(,)?
        })?
    ) => {
        $(#[doc = $summary])+
        #[derive(Clone, Debug, $crate::private::serde::Deserialize)]
        #[serde(crate = "harness_sdk::private::serde", deny_unknown_fields, default)]
        $visibility struct $name {
            $( $(#[doc = $doc])+ $option: $type, )*
            $($( $(#[doc = $state_doc])+ #[serde(skip)] $state: $state_type, )*)?
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $( $option: $default, )* $($( $state: $start, )*)? }
            }
        }

        impl $crate::Options for $name {
            const SUMMARY: &'static str = concat!($($summary, "\n"),+);
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const KEEPS_STATE: bool = false $($( || !stringify!($state).is_empty() )*)?;

            fn describe() -> Vec<$crate::OptionDescription> {
                vec![$(
                    $crate::OptionDescription::new::<$type>(
                        stringify!($option),
                        concat!($($doc, "\n"),+),
                        $default,
                    ),
                )*]
            }
        }
    };
}
