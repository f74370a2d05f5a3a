//! Python's `json.dumps(value, ensure_ascii=False, sort_keys=True)`, whose spaces the recorded hashes depend on.

use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) fn dumps(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(dumps).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => {
            let mut entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), dumps(value)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

pub(crate) fn sha256(value: &Value) -> String {
    let digest = Sha256::digest(dumps(value));
    let hexadecimal: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hexadecimal.concat()
}
