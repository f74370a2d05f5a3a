//! lm-eval's own Jinja filter `regex_replace`: Python's `re.sub`.

use harness_metric::PythonRegex;
use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind};

/// `value|regex_replace(pattern, replacement, count)`; `count` 0 replaces every match.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the form of a filter's arguments"
)]
pub(super) fn regex_replace(
    text: &str,
    pattern: &str,
    replacement: &str,
    count: Option<usize>,
    options: Kwargs,
) -> Result<String, Error> {
    let count = count.or(options.get("count")?).unwrap_or(0);
    options.assert_all_used()?;
    PythonRegex::new(pattern)
        .and_then(|pattern| pattern.sub(replacement, text, count))
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}
