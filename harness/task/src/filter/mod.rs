//! Filters: what is done to responses before they are scored. Pure functions of one request's responses and its document;
//! refuses arguments that a filter does not have.

mod arguments;
mod multi_choice_regex;
mod pipeline;
mod regex;
mod selection;
mod spans;
mod text;

use harness_data::Document;
use serde_json::Value;

pub(crate) use pipeline::{Answered, Pipeline};

use self::arguments::Arguments;
use self::multi_choice_regex::MultiChoiceRegex;
use self::regex::RegexFilter;
use crate::spec::FilterSpec;

/// The filters that exist by name.
pub(crate) const FILTERS: [&str; 13] = [
    "take_first",
    "take_first_k",
    "majority_vote",
    "regex",
    "multi_choice_regex",
    "regex_pos",
    "format_span",
    "remove_whitespace",
    "lowercase",
    "uppercase",
    "map",
    "decontaminate",
    "custom",
];

/// What a request's responses are on their way through a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Responses {
    /// One for each repeat.
    Each(Vec<Value>),
    /// The one that is scored.
    One(Value),
}

impl Responses {
    /// The responses as one value, a list where there are several.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Each(responses) => responses.into(),
            Self::One(response) => response,
        }
    }

    /// Changes every response.
    fn map(self, change: impl Fn(Value) -> Result<Value, String>) -> Result<Self, String> {
        match self {
            Self::Each(responses) => {
                let changed = responses.into_iter().map(change);
                changed.collect::<Result<_, _>>().map(Self::Each)
            }
            Self::One(response) => change(response).map(Self::One),
        }
    }
}

/// A filter with its arguments read.
pub(crate) enum Filter {
    TakeFirst,
    TakeFirstK(usize),
    MajorityVote,
    Regex(RegexFilter),
    MultiChoiceRegex(MultiChoiceRegex),
    Tags(Value),
    Spans,
    Text(fn(&str) -> String),
    Map {
        mapping: serde_json::Map<String, Value>,
        default: Value,
    },
    /// Does nothing, as upstream.
    Decontaminate,
}

impl Filter {
    /// Reads a step with a name.
    ///
    /// # Errors
    /// In words, on arguments that the filter does not have and patterns that do not compile.
    fn compile(name: &str, spec: &FilterSpec) -> Result<Self, String> {
        let mut arguments = Arguments::new(name, &spec.arguments);
        let filter = match name {
            "take_first" => Self::TakeFirst,
            "take_first_k" => Self::TakeFirstK(arguments.required_count("k")?),
            "majority_vote" => Self::MajorityVote,
            "regex" => Self::Regex(RegexFilter::compile(&mut arguments)?),
            "multi_choice_regex" => {
                Self::MultiChoiceRegex(MultiChoiceRegex::compile(&mut arguments)?)
            }
            "regex_pos" => spans::tags(&mut arguments),
            "format_span" => Self::Spans,
            "remove_whitespace" => Self::Text(text::strip),
            "lowercase" => Self::Text(text::lower),
            "uppercase" => Self::Text(text::upper),
            "map" => Self::Map {
                mapping: arguments.map("mapping_dict")?,
                default: arguments.value("default_value").unwrap_or_default(),
            },
            "decontaminate" => {
                arguments.value("path");
                Self::Decontaminate
            }
            other => return Err(format!("unknown filter `{other}`")),
        };
        arguments.finish()?;
        Ok(filter)
    }

    /// What takes the place of a request's responses.
    fn apply(&self, responses: Responses, document: &Document) -> Result<Responses, String> {
        match self {
            Self::TakeFirst => selection::first(responses),
            Self::TakeFirstK(count) => selection::first_of(responses, *count),
            Self::MajorityVote => selection::most_common(responses),
            Self::Regex(regex) => responses.map(|response| regex.extract(&response)),
            Self::MultiChoiceRegex(regex) => regex.apply(responses, document),
            Self::Tags(fallback) => responses.map(|response| spans::tags_of(&response, fallback)),
            Self::Spans => responses.map(|response| spans::formatted(&response)),
            Self::Text(change) => responses.map(|response| text::changed(*change, &response)),
            Self::Map { mapping, default } => {
                responses.map(|response| Ok(text::mapped(mapping, default, &response)))
            }
            Self::Decontaminate => Ok(responses),
        }
    }
}
