//! `WikiText` pages: from tokens apart to running text, and what is counted of them.

use harness_data::Document;
use harness_metric::word_count;
use serde_json::{Map, Value, json};

use super::{NativeResult, regex, text};

/// Replacements in their order; the third says that the first is a pattern.
const STEPS: [(&str, &str, bool); 24] = [
    ("s '", "s'", false),
    // A slip upstream: the slashes belong to another language's notation. Kept, as it moves scores.
    ("/' [0-9]/", "/'[0-9]/", true),
    (" @-@ ", "-", false),
    (" @,@ ", ",", false),
    (" @.@ ", ".", false),
    (" : ", ": ", false),
    (" ; ", "; ", false),
    (" . ", ". ", false),
    (" ! ", "! ", false),
    (" ? ", "? ", false),
    (" , ", ", ", false),
    (r"\(\s*([^\)]*?)\s*\)", r"(\1)", true),
    (r"\[\s*([^\]]*?)\s*\]", r"[\1]", true),
    (r"{\s*([^}]*?)\s*}", r"{\1}", true),
    (r#""\s*([^"]*?)\s*""#, r#""\1""#, true),
    (r"'\s*([^']*?)\s*'", r"'\1'", true),
    ("= = = =", "====", false),
    ("= = =", "===", false),
    ("= =", "==", false),
    (" \u{b0} ", "\u{b0}", false),
    (" \n", "\n", false),
    ("\n ", "\n", false),
    (" N ", " 1 ", false),
    (" 's", "'s", false),
];

/// The page as running text.
pub(super) fn detokenized(document: &Document) -> NativeResult<Value> {
    let mut page = text(document, "page")?.to_owned();
    for (from, to, is_pattern) in STEPS {
        page = if is_pattern {
            let replaced = regex(from)?.sub(to, &page, 0);
            replaced.map_err(|error| error.to_string())?
        } else {
            page.replace(from, to)
        };
    }
    Ok(page.into())
}

/// Log-likelihood with words and bytes of the page as it was before.
pub(super) fn results(document: &Document, results: &[Value]) -> NativeResult<Map<String, Value>> {
    let page = text(document, "page")?;
    let [logprob] = results else {
        return Err(format!("one response is needed, not {}", results.len()));
    };
    let bytes = json!([logprob, page.len()]);
    Ok([
        ("word_perplexity", json!([logprob, word_count(page)])),
        ("byte_perplexity", bytes.clone()),
        ("bits_per_byte", bytes),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect())
}
