//! What a method says about itself, and its options checked against that. It refuses unknown needs, option names and types before the method sees them.

use std::collections::BTreeSet;

use harness_abi::Role;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::HostError;

/// A method's description, as its library gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodDescription {
    /// Name on the command line.
    pub id: String,
    /// Version of the method.
    pub version: String,
    /// What it is, in a sentence or two.
    pub summary: String,
    /// What it wants besides the forget batch.
    pub needs: BTreeSet<Need>,
    /// Whether an instance remembers something from step to step, so that an interrupted run of it cannot be gone on with.
    #[serde(default)]
    pub keeps_state: bool,
    /// Whether it owns its loop; the library's table decides, whatever the description says.
    #[serde(default)]
    pub owns_loop: bool,
    /// Its options, in the author's order.
    pub options: Vec<OptionDescription>,
}

/// Something that the harness prepares only for the methods that declare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// A retain batch in every step.
    Retain,
    /// The forget prompts with other answers in every step.
    Alternate,
    /// A batch of general prompts and answers in every step.
    Normal,
    /// The forget prompts with answers that do not belong to them in every step.
    Mismatch,
    /// The frozen original.
    Reference,
    /// Other positions than those that predict answer tokens.
    EveryPosition,
}

impl Need {
    /// What must be declared for batches of a role; nothing for `forget`.
    pub const fn of_role(role: Role) -> Option<Self> {
        match role {
            Role::Forget => None,
            Role::Retain => Some(Self::Retain),
            Role::Alternate => Some(Self::Alternate),
            Role::Normal => Some(Self::Normal),
            Role::Mismatch => Some(Self::Mismatch),
        }
    }

    /// The name in descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retain => "retain",
            Self::Alternate => "alternate",
            Self::Normal => "normal",
            Self::Mismatch => "mismatch",
            Self::Reference => "reference",
            Self::EveryPosition => "every_position",
        }
    }
}

/// One option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionDescription {
    /// Name in `--set name=value`.
    pub name: String,
    /// Type of its value.
    #[serde(rename = "type")]
    pub kind: OptionType,
    /// The words that a string may be; empty where it may be any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Value when nothing is set.
    pub default: Value,
    /// What it does.
    pub doc: String,
}

/// Type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionType {
    /// A finite number.
    Number,
    /// A whole number of 64 bits.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Text.
    String,
}

impl OptionType {
    /// The name in descriptions and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::String => "string",
        }
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::String => value.is_string(),
        }
    }

    /// Reads a value from the command line.
    fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Number => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                number.map(Value::from)
            }
            Self::Integer => text
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| text.parse::<u64>().map(Value::from))
                .ok(),
            Self::Boolean => text.parse::<bool>().ok().map(Value::from),
            Self::String => Some(Value::from(text)),
        }
    }
}

impl OptionDescription {
    fn accepts(&self, value: &Value) -> bool {
        let is_choice = || {
            let word = value.as_str();
            word.is_some_and(|word| self.choices.iter().any(|choice| choice == word))
        };
        self.kind.accepts(value) && (self.choices.is_empty() || is_choice())
    }

    /// What its values are, in words.
    fn expected(&self) -> String {
        if self.choices.is_empty() {
            return format!("of type {}", self.kind.name());
        }
        self.choices.join(" or ")
    }
}

impl MethodDescription {
    /// Reads and checks a library's description; the error says what is wrong with it.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let description: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let id = &description.id;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if id.is_empty() || !id.chars().all(is_plain) {
            return Err(format!("id `{id}` must be made of a-z, 0-9 and _"));
        }
        let mut names = BTreeSet::new();
        for option in &description.options {
            if !names.insert(&option.name) {
                return Err(format!("option `{}` occurs twice", option.name));
            }
            if !option.accepts(&option.default) {
                let (expected, default) = (option.expected(), &option.default);
                return Err(format!(
                    "option `{}`: default {default} is not {expected}",
                    option.name
                ));
            }
        }
        Ok(description)
    }

    /// Whether the method declared `need`.
    pub fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    /// The default of a whole-number option; 1 where there is no such option.
    pub fn default_count(&self, name: &str) -> u64 {
        let option = self.options.iter().find(|option| option.name == name);
        option
            .and_then(|option| option.default.as_u64())
            .unwrap_or(1)
    }

    /// Turns `name=value` settings into options for [`LoadedMethod::create`](crate::LoadedMethod::create), by the described types. The last setting of a name counts.
    pub fn parse_settings<S: AsRef<str>>(&self, settings: &[S]) -> Result<Value, HostError> {
        let parse = |setting: &S| self.parse_setting(setting.as_ref());
        settings
            .iter()
            .map(parse)
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object)
    }

    fn parse_setting(&self, setting: &str) -> Result<(String, Value), HostError> {
        let (name, text) = setting.split_once('=').ok_or_else(|| HostError::Setting {
            plugin: self.id.clone(),
            setting: setting.to_owned(),
        })?;
        let option = self.option(name.trim())?;
        let value = option
            .kind
            .parse(text.trim())
            .filter(|value| option.accepts(value))
            .ok_or_else(|| self.wrong_type(option, text))?;
        Ok((option.name.clone(), value))
    }

    /// Refuses options that the description does not know or that have another type.
    pub(crate) fn check_options(&self, options: &Value) -> Result<(), HostError> {
        let options = options.as_object().ok_or_else(|| HostError::NotAnObject {
            plugin: self.id.clone(),
        })?;
        for (name, value) in options {
            let option = self.option(name)?;
            if !option.accepts(value) {
                return Err(self.wrong_type(option, &value.to_string()));
            }
        }
        Ok(())
    }

    fn option(&self, name: &str) -> Result<&OptionDescription, HostError> {
        let found = self.options.iter().find(|option| option.name == name);
        found.ok_or_else(|| {
            let known: Vec<String> = self
                .options
                .iter()
                .map(|option| option.name.clone())
                .collect();
            HostError::UnknownOption {
                plugin: self.id.clone(),
                option: name.to_owned(),
                nearest: harness_spelling::nearest(name, known.iter().map(String::as_str))
                    .map(str::to_owned),
                known,
            }
        })
    }

    fn wrong_type(&self, option: &OptionDescription, value: &str) -> HostError {
        HostError::OptionType {
            plugin: self.id.clone(),
            option: option.name.clone(),
            expected: option.expected(),
            value: value.to_owned(),
        }
    }
}
