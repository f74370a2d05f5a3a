//! `generation_kwargs`: as written, with lm-eval's defaults; and read, as settings of one generation. Refuses settings
//! that no decoder here computes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Tokens generated where nothing else is said.
const DEFAULT_MAX_TOKENS: usize = 256;

/// The same for answers.
const ANSWER_MAX_TOKENS: usize = 200;

/// The names of the limit on tokens; the first one present counts.
const MAX_TOKENS: [&str; 4] = [
    "max_gen_toks",
    "max_new_tokens",
    "max_tokens",
    "max_completion_tokens",
];

/// Other settings that are read.
const READ: [&str; 6] = [
    "until",
    "do_sample",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
];

/// Settings of the transformers library, with the value that leaves generation as it is here.
const NEUTRAL: [(&str, f64); 5] = [
    ("num_beams", 1.0),
    ("num_return_sequences", 1.0),
    ("repetition_penalty", 1.0),
    ("length_penalty", 1.0),
    ("no_repeat_ngram_size", 0.0),
];

/// How text is generated: normalised `generation_kwargs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Texts that end it; each is searched in the decoded text and cut off. The model's end-of-sequence text ends it too.
    pub until: Vec<String>,
    /// At most so many tokens.
    pub max_tokens: usize,
    /// Whether tokens are drawn; otherwise the most probable one is taken.
    pub do_sample: bool,
    /// Divides the logits before a draw; 0 where nothing is drawn.
    pub temperature: f64,
    /// Draws from the most probable tokens whose probabilities sum to this.
    pub top_p: Option<f64>,
    /// Draws from so many most probable tokens.
    pub top_k: Option<usize>,
    /// Draws from tokens at least this probable, relative to the most probable one.
    pub min_p: Option<f64>,
    /// The settings as the task and the command line give them, for the records.
    pub given: Map<String, Value>,
}

impl Generation {
    /// Reads settings (lm-eval's `normalize_gen_kwargs`).
    ///
    /// # Errors
    /// In words, on unknown names, values of the wrong kind and settings that are not computed.
    pub fn from_kwargs(given: Map<String, Value>) -> Result<Self, String> {
        refuse_others(&given)?;
        let temperature = number(&given, "temperature")?;
        let do_sample = match given.get("do_sample") {
            None | Some(Value::Null) => temperature.unwrap_or(0.0) > 0.0,
            Some(Value::Bool(do_sample)) => *do_sample,
            Some(other) => return Err(wrong("do_sample", "true or false", other)),
        };
        let limit = MAX_TOKENS
            .into_iter()
            .find(|name| given.get(*name).is_some_and(|value| !value.is_null()));
        Ok(Self {
            until: until(&given)?,
            max_tokens: match limit {
                Some(name) => count(&given, name)?.unwrap_or(DEFAULT_MAX_TOKENS),
                None => DEFAULT_MAX_TOKENS,
            },
            do_sample,
            temperature: if do_sample {
                drawing(temperature)?
            } else {
                0.0
            },
            top_p: share(&given, "top_p")?,
            top_k: count(&given, "top_k")?,
            min_p: share(&given, "min_p")?,
            given,
        })
    }
}

/// The temperature of draws: 1, the model's own distribution, unless another is given.
fn drawing(temperature: Option<f64>) -> Result<f64, String> {
    match temperature {
        Some(0.0) => {
            Err("generation_kwargs: `do_sample: true` needs a temperature above 0".to_owned())
        }
        other => Ok(other.unwrap_or(1.0)),
    }
}

/// `generation_kwargs` with what lm-eval adds where the YAML is silent.
pub(super) fn with_defaults(
    given: Option<Map<String, Value>>,
    fewshot_delimiter: &str,
) -> Map<String, Value> {
    let mut kwargs = given.unwrap_or_else(|| {
        let greedy = [
            ("temperature", json!(0.0)),
            ("do_sample", json!(false)),
            ("max_gen_toks", json!(DEFAULT_MAX_TOKENS)),
        ];
        greedy
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect()
    });
    if let Some(temperature) = kwargs.get_mut("temperature") {
        let float = match &*temperature {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        if let Some(float) = float {
            *temperature = json!(float);
        }
    }
    if !kwargs.contains_key("until") {
        kwargs.insert("until".to_owned(), json!([fewshot_delimiter]));
    }
    kwargs
}

/// `generation_kwargs` of answers: greedy, up to 200 tokens and the end of the text, as open-unlearning has it, with what the YAML
/// says over it.
pub(super) fn of_answers(given: Option<Map<String, Value>>) -> Map<String, Value> {
    let given = given.unwrap_or_default();
    let mut kwargs = Map::new();
    kwargs.insert("do_sample".to_owned(), json!(false));
    if !MAX_TOKENS.iter().any(|name| given.contains_key(*name)) {
        kwargs.insert("max_gen_toks".to_owned(), json!(ANSWER_MAX_TOKENS));
    }
    kwargs.insert("until".to_owned(), json!([]));
    kwargs.extend(given);
    kwargs
}

fn refuse_others(given: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in given {
        let name = name.as_str();
        if READ.contains(&name) || MAX_TOKENS.contains(&name) || value.is_null() {
            continue;
        }
        match NEUTRAL.iter().find(|(known, _)| *known == name) {
            Some((_, neutral)) if value.as_f64() == Some(*neutral) => {}
            Some((_, neutral)) => {
                return Err(format!(
                    "generation_kwargs: `{name}: {value}` is not supported; only {neutral} is"
                ));
            }
            None => {
                let known = READ
                    .into_iter()
                    .chain(MAX_TOKENS)
                    .chain(NEUTRAL.map(|(known, _)| known));
                let hint = harness_spelling::hint(name, known);
                return Err(format!("generation_kwargs: unknown setting `{name}`{hint}"));
            }
        }
    }
    Ok(())
}

fn until(given: &Map<String, Value>) -> Result<Vec<String>, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(wrong("until", "text or a list of texts", other)),
    };
    match given.get("until") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(given) => {
            let texts = given.as_array().map_or_else(
                || text(given).map(|text| vec![text]),
                |items| items.iter().map(text).collect(),
            )?;
            // An empty text would end every generation at once; upstream passes over it.
            Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
        }
    }
}

fn number(given: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(number) if number >= 0.0 => Ok(Some(number)),
            _ => Err(wrong(name, "a number from 0", value)),
        },
    }
}

fn share(given: &Map<String, Value>, name: &str) -> Result<Option<f64>, String> {
    match number(given, name)? {
        Some(number) if number > 1.0 => Err(wrong(name, "a number from 0 to 1", &json!(number))),
        other => Ok(other),
    }
}

fn count(given: &Map<String, Value>, name: &str) -> Result<Option<usize>, String> {
    match number(given, name)? {
        Some(number) if number.fract() != 0.0 => Err(wrong(name, "a whole number", &json!(number))),
        other => Ok(other.map(|number| number as usize)),
    }
}

fn wrong(name: &str, takes: &str, value: &Value) -> String {
    format!("generation_kwargs: `{name}` takes {takes}, not {value}")
}
