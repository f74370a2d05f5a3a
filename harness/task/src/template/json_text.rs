//! Jinja's filter `tojson` with a limit: applied to its own text again and again, it doubles it each time.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value, filters};

/// More than any document holds.
const MOST_BYTES: usize = 16 << 20;

/// `value|tojson(indent)`.
pub(super) fn tojson(
    value: &Value,
    indent: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let json = filters::tojson(value, indent, options)?;
    let bytes = json.as_str().map_or(0, str::len);
    if bytes > MOST_BYTES {
        let most = MOST_BYTES >> 20;
        let reason = format!("tojson gives {bytes} bytes, more than {most} MiB; apply it once");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    Ok(json)
}

#[cfg(test)]
mod tests {
    use minijinja::{Value, context};

    use crate::template::{Rendered, Template, words};

    #[test]
    fn json_of_json_of_json_ends() {
        let render = |times: usize| {
            let source = format!("a {{{{ q{} }}}}", "|tojson".repeat(times));
            let columns: Value = context! { q => "\"" };
            let rendered = Template::compile(&source).and_then(|it| it.render(&columns));
            rendered.map_err(|error| words(&error, &source))
        };
        assert_eq!(render(1), Ok(Rendered::Text(r#"a "\"""#.to_owned())));
        let refused = render(300).err();
        assert!(
            refused
                .as_ref()
                .is_some_and(|words| words.contains("more than 16 MiB")),
            "{refused:?}"
        );
    }
}
