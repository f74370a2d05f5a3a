//! Templates of real tasks, and one template a feature, against what Jinja2 made of them; needs the golden folder.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud, recorded numbers are exact"
)]

use minijinja::Value as Column;
use minijinja::value::Serde;
use serde_json::Value;

use super::{Rendered, Template, python_str};
use crate::golden::recorded;

/// What we render, as text; `None` where it fails.
fn rendered(case: &Value) -> Result<String, String> {
    let template =
        Template::compile(case["template"].as_str().unwrap()).map_err(|error| error.to_string())?;
    match template.render(&Column::from(Serde(&case["doc"]))) {
        Ok(Rendered::Text(text)) => Ok(text),
        Ok(Rendered::List(items)) => Ok(python_str(&items.into())),
        Err(error) => Err(error.to_string()),
    }
}

/// What comes out differently: the template, and our text or (preferably) our error. Where Jinja2 fails, failing is right.
fn differing(cases: &[Value]) -> Vec<(&str, Result<String, String>)> {
    let differs = |case: &Value| {
        let ours = rendered(case);
        match case["rendered"].as_str() {
            Some(text) => (ours.as_deref() != Ok(text)).then_some(ours),
            None => ours.is_ok().then_some(ours),
        }
    };
    cases
        .iter()
        .filter_map(|case| Some((case["template"].as_str()?, differs(case)?)))
        .collect()
}

#[test]
fn templates_of_real_tasks_render_as_in_jinja2() {
    let Some(recorded) = recorded("python/jinja_templates.json") else {
        return;
    };
    let cases = recorded["templates"].as_array().unwrap();
    let differing = differing(cases);
    eprintln!("{} of {} differ", differing.len(), cases.len());
    for (template, ours) in differing {
        // Jinja2 makes choices called "Undefined" out of a missing key; we refuse.
        assert_eq!(
            template, "{{answers|map(attribute='atext')|list}}",
            "{ours:?}"
        );
        assert!(ours.is_err());
    }
}

#[test]
fn features_of_jinja2_are_there_or_refused() {
    let Some(recorded) = recorded("python/jinja_templates.json") else {
        return;
    };
    let cases = recorded["custom"].as_array().unwrap();
    let differing = differing(cases);
    eprintln!("{} of {} differ", differing.len(), cases.len());
    assert!(differing.len() <= 18, "{differing:#?}");
    // Differences that are no error: tojson does not sort keys, `~` prints a large float in full, a range prints as a list.
    let known = ["{{l|tojson}}", "{{s ~ x", "{{range(5)|list}}"];
    for (template, ours) in differing {
        assert!(
            ours.is_err() || known.iter().any(|start| template.starts_with(start)),
            "{template}: {ours:?}"
        );
    }
}
