//! `key=value` pairs, or a map in JSON, as `--model-args` and `--gen-kwargs` take them. Knows no key.

use harness_spelling::hint;
use harness_task::python_literal;
use serde_json::{Map, Value};

use crate::exit::Refused;

/// Reads the words of an option: each a map in JSON, or `key=value` pairs between commas. A later key wins.
///
/// # Errors
/// On what is neither.
pub(super) fn pairs(option: &str, words: &[String]) -> Result<Map<String, Value>, Refused> {
    read(option, words, cast)
}

/// As [`pairs`], leaving values as they are written: a revision such as `12345e67` is no number.
///
/// # Errors
/// As [`pairs`].
pub(super) fn texts(option: &str, words: &[String]) -> Result<Map<String, Value>, Refused> {
    read(option, words, |text| text.into())
}

fn read(
    option: &str,
    words: &[String],
    value_of: fn(&str) -> Value,
) -> Result<Map<String, Value>, Refused> {
    let mut all = Map::new();
    for word in words {
        if word.trim_start().starts_with('{') {
            let map: Map<String, Value> = serde_json::from_str(word).map_err(|error| {
                Refused(format!("{option} {word}: {error} (JSON has double quotes)"))
            })?;
            all.extend(map);
            continue;
        }
        for pair in split(word)
            .into_iter()
            .filter(|pair| !pair.trim().is_empty())
        {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(Refused(format!(
                    "{option} {pair}: not of the form key=value"
                )));
            };
            all.insert(key.trim().to_owned(), value_of(value));
        }
    }
    Ok(all)
}

/// Refuses the keys that are not among `known`.
pub(super) fn refuse_unknown(
    option: &str,
    given: &Map<String, Value>,
    known: &[&str],
) -> Result<(), Refused> {
    match given.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let (hint, all) = (hint(key, known.iter().copied()), known.join(", "));
            Err(Refused(format!(
                "{option} {key}: unknown key{hint}; known are {all}"
            )))
        }
    }
}

/// Parts between commas that stand in no bracket and no quotation.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{' | '(') => depth += 1,
            (None, ']' | '}' | ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// lm-eval's casts: truth values, whole and other numbers, then literals as JSON or Python has them; whatever else there is
/// stays text.
fn cast(value: &str) -> Value {
    if let Ok(truth) = value.to_ascii_lowercase().parse::<bool>() {
        return truth.into();
    }
    if let Ok(number) = value.parse::<u64>() {
        return number.into();
    }
    if let Ok(value) = serde_json::from_str(value) {
        return value;
    }
    let number: Option<f64> = value.parse().ok();
    match number.filter(|number| number.is_finite()) {
        Some(number) => number.into(),
        None => python_literal(value).unwrap_or_else(|| value.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::pairs;

    fn cast_all(text: &str) -> serde_json::Value {
        pairs("--gen-kwargs", &[text.to_owned()]).unwrap().into()
    }

    #[test]
    fn values_are_cast_as_lm_eval_does() {
        assert_eq!(
            cast_all("do_sample=True,temperature=0.7,top_k=5,x=1e-3,name=a b,none=None"),
            json!({ "do_sample": true, "temperature": 0.7, "top_k": 5, "x": 1e-3, "name": "a b", "none": null })
        );
        assert_eq!(
            cast_all("{\"until\": [\"a,b\"]}"),
            json!({ "until": ["a,b"] })
        );
        assert_eq!(
            cast_all("until=['x,y', \"z\"],path=a=b"),
            json!({ "until": ["x,y", "z"], "path": "a=b" })
        );
        assert_eq!(
            cast_all("a=TRUE,b=007,c=-5,d={'x': (1, None)},e='q',f=[true],g=inf,h=1_0"),
            json!({ "a": true, "b": 7, "c": -5, "d": { "x": [1, null] }, "e": "q", "f": [true], "g": "inf", "h": 10 })
        );
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert!(pairs("--gen-kwargs", &["temperature".to_owned()]).is_err());
        assert!(pairs("--gen-kwargs", &["{\"a\": }".to_owned()]).is_err());
    }
}
